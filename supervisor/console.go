package supervisor

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

// console is the handler of the appliance's own events: one plain line each for a person.
type console struct {
	w   io.Writer
	pre string
}

func newConsole(w io.Writer, asJSON bool) slog.Handler {
	if asJSON {
		return slog.NewJSONHandler(w, nil)
	}
	return &console{w: w}
}

// maxQueued bounds the lines that wait for a reader who does not read.
const maxQueued = 512

// patientWriter takes lines without ever waiting: a stopped terminal or a full pipe must not stop the supervisor. What does not fit is counted.
type patientWriter struct {
	lines   chan []byte
	done    chan struct{}
	dropped atomic.Int64
}

func newPatientWriter(w io.Writer) *patientWriter {
	p := &patientWriter{lines: make(chan []byte, maxQueued), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for line := range p.lines {
			if line == nil {
				return
			}
			if n := p.dropped.Swap(0); n > 0 {
				fmt.Fprintf(w, "%d lines were dropped here: nobody read them\n", n)
			}
			_, _ = w.Write(line) // there is nobody to tell
		}
	}()
	return p
}

func (p *patientWriter) Write(line []byte) (int, error) {
	select {
	case p.lines <- bytes.Clone(line):
	default:
		p.dropped.Add(1)
	}
	return len(line), nil
}

// finish gives the reader a last chance to take what is queued. What is written afterwards is lost.
func (p *patientWriter) finish(within time.Duration) {
	select {
	case p.lines <- nil:
	default:
		return // nobody reads
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
}

func (c *console) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (c *console) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Time.UTC().Format("15:04:05.000 "))
	if r.Level != slog.LevelInfo {
		b.WriteString(strings.ToLower(r.Level.String()) + ": ")
	}
	b.WriteString(r.Message + c.pre)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(attr(a))
		return true
	})
	b.WriteByte('\n')
	_, err := io.WriteString(c.w, b.String())
	return err
}

func attr(a slog.Attr) string {
	v := a.Value.Resolve()
	text := v.String()
	if v.Kind() == slog.KindTime {
		text = v.Time().UTC().Format(time.RFC3339)
	}
	switch a.Key {
	case "err":
		return ": " + text
	case "remedy":
		return "\n             " + text
	}
	return fmt.Sprintf("  %s %s", a.Key, text)
}

func (c *console) WithAttrs(attrs []slog.Attr) slog.Handler {
	pre := c.pre
	for _, a := range attrs {
		pre += attr(a)
	}
	return &console{c.w, pre}
}

func (c *console) WithGroup(string) slog.Handler { return c }
