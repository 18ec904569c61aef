// Floor is what no supervisor can be faster than: fork, wait, fork again. It has no cgroups, users, logs, order or probes.
//
//	floor FILE    a line of FILE is one service, its words separated by spaces
package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	if err := supervise(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "floor:", err)
		os.Exit(1)
	}
}

func supervise(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the reaper of orphans: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	f := &floor{null: null.Fd(), services: map[int][]string{}}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	for line := range strings.Lines(string(text)) {
		if err := f.start(strings.Fields(line)); err != nil {
			return err
		}
	}
	go func() {
		<-term
		f.stop()
	}()
	return f.wait()
}

// floor holds the processes that are wanted.
type floor struct {
	null uintptr

	mu       sync.Mutex
	services map[int][]string // by pid
	stopping bool
}

// start forks a service; its locking keeps a pid from being reaped before it is known.
func (f *floor) start(argv []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopping {
		return nil
	}
	pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{f.null, f.null, f.null}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("start %s: %w", argv[0], err)
	}
	f.services[pid] = argv
	return nil
}

func (f *floor) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopping = true
	for pid := range f.services {
		_ = syscall.Kill(pid, syscall.SIGTERM) // one that is gone is what we want
	}
}

// wait reaps until everything has stopped, and starts again what ends before.
func (f *floor) wait() error {
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil: // nothing is left
			return nil
		}
		f.mu.Lock()
		argv := f.services[pid] // nil for an orphan
		delete(f.services, pid)
		over := f.stopping && len(f.services) == 0
		f.mu.Unlock()
		if over {
			return nil
		}
		if argv != nil {
			if err := f.start(argv); err != nil {
				return err
			}
		}
	}
}
