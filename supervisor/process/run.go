package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxOutput is how much of a command's output is kept, in bytes: the end of it.
const maxOutput = 8 << 10

// outputGrace is how long output is read after the command's end while a grandchild keeps the pipe open (E44).
const outputGrace = 100 * time.Millisecond

// Ended is a short command that has run to its end.
type Ended struct {
	Exit   Exit
	Output string // the last maxOutput bytes of stdout and stderr
}

// Run starts spec, an exec probe or a step of a preparation, and waits for its end. stdin is what it reads; spec.Input and spec.Output must be nil.
//
// When ctx ends first it is killed with its group and all its descendants (E38), and the error is ctx's; what it said by then is in Output.
// An exit other than 0 is an error that ends in the last line of its output.
func (s *Spawner) Run(ctx context.Context, spec Spec, stdin string) (Ended, error) {
	if err := context.Cause(ctx); err != nil {
		return Ended{}, fmt.Errorf("run %s: %w", spec.Program, err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		return Ended{}, fmt.Errorf("run %s: %w", spec.Program, err)
	}
	defer out.Close()
	spec.Output = w
	if stdin != "" {
		if spec.Input, err = memory(stdin); err != nil {
			_ = w.Close()
			return Ended{}, fmt.Errorf("run %s: %w", spec.Program, err)
		}
		defer spec.Input.Close()
	}
	p, err := s.Start(spec)
	_ = w.Close()
	if err != nil {
		return Ended{}, err
	}
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		killTree(p)
	})
	said := make(chan string, 1)
	go func() { said <- tail(out) }()
	exit, waitErr := p.Wait()
	if !stop() {
		<-killed // its number must not be another's while we look for its descendants
	}
	_ = out.SetReadDeadline(time.Now().Add(outputGrace))
	ended := Ended{exit, <-said}
	if err := errors.Join(waitErr, p.Reap()); err != nil {
		return ended, fmt.Errorf("run %s: %w", spec.Program, err)
	}
	return ended, ended.verdict(ctx, spec)
}

func (e Ended) verdict(ctx context.Context, spec Spec) error {
	if e.Exit.Known && e.Exit.Status == 0 {
		return nil
	}
	if err := context.Cause(ctx); err != nil && e.Exit.Signal == unix.SIGKILL {
		return fmt.Errorf("run %s: %w", spec.Program, err)
	}
	text := strings.TrimSpace(e.Output)
	if last := text[strings.LastIndexByte(text, '\n')+1:]; last != "" {
		return fmt.Errorf("run %s: %s: %s", spec.Program, e.Exit, last)
	}
	return fmt.Errorf("run %s: %s", spec.Program, e.Exit)
}

// killTree kills p, its group and what descends from it now. p is stopped first: it forks no more, and as the living parent it keeps its children findable.
func killTree(p *Process) {
	_ = p.Signal(unix.SIGSTOP)
	if table, err := Scan(); err == nil {
		killAll(table.Descendants(p.pid))
	}
	_ = p.SignalGroup(unix.SIGKILL)
	_ = p.Signal(unix.SIGKILL)
}

// memory is a file with the text, read from its beginning.
func memory(text string) (*os.File, error) {
	fd, err := unix.MemfdCreate("stdin", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "stdin")
	_, err = f.WriteString(text)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// tail reads r to its end, or its deadline, and keeps the last part.
func tail(r io.Reader) string {
	var kept []byte
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		kept = append(kept, buf[:n]...)
		if over := len(kept) - maxOutput; over > 0 {
			kept = append(kept[:0], kept[over:]...)
		}
		if err != nil {
			return string(kept)
		}
	}
}
