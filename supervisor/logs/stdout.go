package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// stdoutQueue bounds what waits for a slow reader of standard output.
const stdoutQueue = 256 << 10

// Stdout shows the lines of all services on one writer, each with its service's name. A writer that blocks holds nothing up:
// lines are dropped then, and a line says how many.
type Stdout struct {
	w    io.Writer
	json bool
	done sync.WaitGroup

	mu      sync.Mutex
	wake    *sync.Cond
	queue   []chunk
	size    int // bytes in queue
	dropped uint64
	total   uint64 // dropped since the start
	closed  bool
}

// chunk is some lines of one service, in the files' format.
type chunk struct {
	service string
	lines   []byte
	dropped uint64 // lines before these
}

// NewStdout writes to w, as "service | line" or as one [api.LogLine] in JSON per line.
func NewStdout(w io.Writer, asJSON bool) *Stdout {
	s := &Stdout{w: w, json: asJSON}
	s.wake = sync.NewCond(&s.mu)
	s.done.Go(s.run)
	return s
}

// Dropped is how many lines a slow reader has missed.
func (s *Stdout) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total
}

// closePatience is how long Close waits for a slow reader.
const closePatience = time.Second

// Close ends the writing after what is queued. A writer that takes longer than a second for that is left alone.
func (s *Stdout) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wake.Broadcast()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.done.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(closePatience):
	}
}

func (s *Stdout) offer(service string, lines []byte, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size+len(lines) > stdoutQueue || s.closed {
		s.dropped += uint64(n)
		s.total += uint64(n)
		return
	}
	s.size += len(lines)
	s.queue = append(s.queue, chunk{service, bytes.Clone(lines), s.dropped})
	s.dropped = 0
	s.wake.Signal()
}

func (s *Stdout) run() {
	for {
		c, ok := s.next()
		if !ok {
			return
		}
		if c.dropped > 0 {
			fmt.Fprintf(s.w, "%s", s.format("appliance", parsed{text: fmt.Appendf(nil, "%d lines not shown here: the reader of standard output is too slow", c.dropped)}))
		}
		var out []byte
		for line := range bytes.Lines(c.lines) {
			if l, ok := parse(bytes.TrimSuffix(line, []byte("\n"))); ok {
				out = append(out, s.format(c.service, l)...)
			}
		}
		_, _ = s.w.Write(out) // nobody is there to tell
		s.mu.Lock()
		s.size -= len(c.lines)
		s.mu.Unlock()
	}
}

func (s *Stdout) next() (c chunk, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && s.dropped == 0 {
		if s.closed {
			return c, false
		}
		s.wake.Wait()
	}
	if len(s.queue) == 0 {
		c.dropped, s.dropped = s.dropped, 0
		return c, true
	}
	c, s.queue = s.queue[0], s.queue[1:]
	return c, true
}

func (s *Stdout) format(service string, l parsed) []byte {
	if !s.json {
		return fmt.Appendf(nil, "%s | %s\n", service, Escape(string(l.text)))
	}
	line := toAPI(service, l)
	out, err := json.Marshal(line)
	if err != nil {
		return nil
	}
	return append(out, '\n')
}

func toAPI(service string, l parsed) api.LogLine {
	line := api.LogLine{At: api.Time{Time: l.at}, Service: service, Run: l.run, Text: string(l.text), Cut: l.flag == flagCut}
	if l.flag == flagOurs {
		line.Level = LevelWarn
	} else {
		line.Level = Level(l.text)
	}
	return line
}
