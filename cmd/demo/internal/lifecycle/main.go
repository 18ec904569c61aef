package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Usage marks an error as wrong usage or configuration: the process exits 2 and not 1.
type Usage struct{ Err error }

func (u Usage) Error() string { return u.Err.Error() }
func (u Usage) Unwrap() error { return u.Err }

// Main runs a service until it is done or told to stop, and returns the exit code: 0 for nil and after a signal, 2 for a [Usage] error, else 1.
// The logger is also made slog's default.
func Main(service string, run func(ctx context.Context, log *slog.Logger) error) int {
	return start(service, 0, run)
}

// Job is [Main] for what runs to its end: a signal that keeps it from getting there makes it exit 1.
func Job(service string, run func(ctx context.Context, log *slog.Logger) error) int {
	return start(service, 1, run)
}

func start(service string, interrupted int, run func(ctx context.Context, log *slog.Logger) error) int {
	log, err := NewLogger(service, os.Stderr, os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	slog.SetDefault(log)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)
	return supervise(log, signals, interrupted, run)
}

// supervise returns interrupted for a run that a signal ended.
func supervise(log *slog.Logger, signals <-chan os.Signal, interrupted int, run func(ctx context.Context, log *slog.Logger) error) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- run(ctx, log) }()
	stopping := false
	for {
		select {
		case s := <-signals:
			if stopping {
				log.Warn("second signal, ending at once", "signal", s)
				return interrupted
			}
			log.Info("stopping", "signal", s)
			stopping = true
			cancel()
		case err := <-done:
			if stopping && errors.Is(err, context.Canceled) {
				return interrupted
			}
			return exitCode(log, err)
		}
	}
}

func exitCode(log *slog.Logger, err error) int {
	switch usage := (Usage{}); {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		report(log, err)
		return 2
	default:
		report(log, err)
		return 1
	}
}

func report(log *slog.Logger, err error) {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		log.Error(err.Error(), "hint", h.Hint())
		return
	}
	log.Error(err.Error())
}
