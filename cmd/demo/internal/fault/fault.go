package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Fault is what was asked to go wrong in this process. The zero value does nothing.
type Fault struct {
	service    string
	slowStart  time.Duration
	leakMB     float64 // MB a second
	crashAfter time.Duration
	hangAfter  time.Duration
	wrong      bool
	escape     int // helpers
	logLines   int // a second

	hung chan struct{} // closed when the hang begins; nil if none was asked for
}

// FromEnv reads the DEMO_ variables for the named service. The error lists every value that cannot be read.
func FromEnv(service string) (*Fault, error) {
	return parse(service, os.Getenv)
}

func parse(service string, getenv func(string) string) (*Fault, error) {
	f := &Fault{service: service}
	err := errors.Join(
		read(getenv, "DEMO_SLOW_START", "a duration such as 2s", positiveDuration, &f.slowStart),
		read(getenv, "DEMO_LEAK_MB_PER_S", "a number of MB above 0", positiveFloat, &f.leakMB),
		read(getenv, "DEMO_CRASH_AFTER", "a duration such as 5s", positiveDuration, &f.crashAfter),
		read(getenv, "DEMO_HANG_AFTER", "a duration such as 5s", positiveDuration, &f.hangAfter),
		read(getenv, "DEMO_WRONG", "1 or 0", strconv.ParseBool, &f.wrong),
		read(getenv, "DEMO_FORK_ESCAPE", "a count from 1 to 100", count(100), &f.escape),
		read(getenv, "DEMO_LOG_LINES_PER_S", "a count from 1 to 10000000", count(10_000_000), &f.logLines),
	)
	if err != nil {
		return nil, err
	}
	if f.hangAfter > 0 {
		f.hung = make(chan struct{})
	}
	return f, nil
}

func read[T any](getenv func(string) string, name, form string, parse func(string) (T, error), into *T) error {
	text := getenv(name)
	if text == "" {
		return nil
	}
	value, err := parse(text)
	if err != nil {
		return fmt.Errorf("environment %s=%q: want %s: %w", name, text, form, err)
	}
	*into = value
	return nil
}

var errRange = errors.New("out of range")

func positiveDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err == nil && d <= 0 {
		err = errRange
	}
	return d, err
}

func positiveFloat(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	if err == nil && !(v > 0 && v <= 1e6) {
		err = errRange
	}
	return v, err
}

func count(limit int) func(string) (int, error) {
	return func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err == nil && (n < 1 || n > limit) {
			err = errRange
		}
		return n, err
	}
}

// Start begins what runs beside the service: leak, crash, hang, escaped helpers, log flood. All of it but the escaped helpers ends with ctx.
func (f *Fault) Start(ctx context.Context) error {
	if f.leakMB > 0 {
		go f.leak(ctx)
	}
	if f.crashAfter > 0 {
		go f.crash(ctx)
	}
	if f.hangAfter > 0 {
		go f.hang(ctx)
	}
	if f.logLines > 0 {
		go f.flood(ctx, os.Stderr)
	}
	if f.escape > 0 {
		return f.fork()
	}
	return nil
}

// BeforeListen is the slow start: it returns after DEMO_SLOW_START, or with ctx's error when ctx ends first.
func (f *Fault) BeforeListen(ctx context.Context) error {
	return wait(ctx, f.slowStart)
}

// Wrong says whether answers shall be wrong while health checks stay right.
func (f *Fault) Wrong() bool { return f.wrong }

// crash panics, because that is how a Go program really dies.
func (f *Fault) crash(ctx context.Context) {
	if wait(ctx, f.crashAfter) == nil {
		panic("DEMO_CRASH_AFTER=" + f.crashAfter.String() + " in " + f.service)
	}
}

func (f *Fault) hang(ctx context.Context) {
	if wait(ctx, f.hangAfter) == nil {
		close(f.hung)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
