package gitserver

import (
	"bytes"
	"strings"
	"sync"
)

const tailMax = 4 << 10 // bytes of git's messages that are kept

// tail keeps the end of a stream of lines. Lines that a carriage return takes back (progress) are shown to watch and forgotten.
type tail struct {
	watch   func(line string)
	onWrite func()

	mu      sync.Mutex
	partial []byte
	kept    []byte
}

func newTail(watch func(string)) *tail { return &tail{watch: watch} }

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.onWrite != nil {
		t.onWrite()
	}
	t.partial = append(t.partial, p...)
	for {
		i := bytes.IndexAny(t.partial, "\r\n")
		if i < 0 || t.partial[i] == '\r' && i == len(t.partial)-1 { // a newline may follow: ssh ends its lines with both
			break
		}
		end := i + 1
		if t.partial[i] == '\r' && t.partial[end] == '\n' {
			end++
		}
		t.line(t.partial[:i], t.partial[end-1] == '\n')
		t.partial = t.partial[end:]
	}
	if len(t.partial) > tailMax { // no line is that long; forget its start
		t.partial = append([]byte(nil), t.partial[len(t.partial)-tailMax/2:]...)
	}
	return len(p), nil
}

func (t *tail) line(line []byte, whole bool) {
	text := strings.TrimSpace(string(line))
	if text == "" {
		return
	}
	if t.watch != nil {
		t.watch(text)
	}
	if whole {
		t.keep(text)
	}
}

func (t *tail) keep(text string) {
	t.kept = append(append(t.kept, text...), '\n')
	if len(t.kept) > tailMax {
		t.kept = append([]byte(nil), t.kept[len(t.kept)-tailMax:]...)
	}
}

// String is what was kept, the unfinished last line included.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.kept) + string(t.partial))
}
