package stage0

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// logger writes lines from a goroutine of its own, so that a stalled reader of stderr never stalls stage 0.
type logger struct {
	lines   chan string
	dropped atomic.Int64
	flushed chan chan struct{}
}

// logQueue bounds the lines that wait for a stalled reader.
const logQueue = 256

func newLogger(w io.Writer) *logger {
	l := &logger{lines: make(chan string, logQueue), flushed: make(chan chan struct{})}
	go l.write(w)
	return l
}

// printf queues one line, or counts it when the queue is full.
func (l *logger) printf(format string, args ...any) {
	line := time.Now().UTC().Format("2006-01-02T15:04:05.000Z ") + "stage0: " + fmt.Sprintf(format, args...) + "\n"
	select {
	case l.lines <- line:
	default:
		l.dropped.Add(1)
	}
}

// write lives as long as the process or until flush: a write that stalls for ever cannot be ended.
func (l *logger) write(w io.Writer) {
	for {
		select {
		case line := <-l.lines:
			l.put(w, line)
		case done := <-l.flushed:
			for len(l.lines) > 0 {
				l.put(w, <-l.lines)
			}
			close(done)
			return
		}
	}
}

func (l *logger) put(w io.Writer, line string) {
	if n := l.dropped.Swap(0); n > 0 {
		line = fmt.Sprintf("stage0: %d lines dropped, the reader of this log stalled\n", n) + line
	}
	_, _ = io.WriteString(w, line) // where would we say that we cannot say anything
}

// flush writes what waits and ends the goroutine, unless the reader stalls for patience.
func (l *logger) flush(patience time.Duration) {
	done := make(chan struct{})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case l.flushed <- done:
	case <-timer.C:
		return
	}
	select {
	case <-done:
	case <-timer.C:
	}
}
