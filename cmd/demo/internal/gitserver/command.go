package gitserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	killGrace = 2 * time.Second // from SIGTERM to SIGKILL; git removes its lock files in it
	pipeGrace = 5 * time.Second // for what still holds our pipes after that
)

var errStalled = errors.New("no progress")

// runner starts git. Each process leads a group of its own, so that the helpers it starts end with it.
type runner struct {
	path string
	env  []string

	mu      sync.Mutex
	running map[int]struct{} // process groups
}

// command is one run of git.
type command struct {
	args   []string
	remote remote // whose credentials it gets
	stdin  io.Reader
	stdout io.Writer
	watch  func(line string) // every line of stderr, progress included
	stall  time.Duration     // ended when stderr is silent for so long; 0 for never
	nice   int
}

// run runs git to its end, or until ctx ends: then the whole group gets SIGTERM and 2 s later SIGKILL. Whatever is left of the group when git has ended is killed.
//
// The error is a [*commandError] unless git could not be started.
func (r *runner) run(ctx context.Context, c command) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stderr := newTail(c.watch)
	if c.stall > 0 {
		t := time.AfterFunc(c.stall, func() { cancel(errStalled) })
		defer t.Stop()
		stderr.onWrite = func() { t.Reset(c.stall) }
	}
	cmd := exec.Command(r.path, c.args...)
	cmd.Env = append(c.remote.env(), r.env...)
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.stdin, c.stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = pipeGrace
	if err := r.start(ctx, cmd); err != nil {
		return fmt.Errorf("start git %s: %w", verb(c.args), err)
	}
	if c.nice > 0 {
		_ = unix.Setpriority(unix.PRIO_PGRP, cmd.Process.Pid, c.nice) // slower is not worse than not at all
	}
	err := r.wait(ctx, cmd)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &commandError{args: c.args, stderr: c.remote.redact(stderr.String()), err: err}
}

func (r *runner) start(ctx context.Context, cmd *exec.Cmd) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r.running[cmd.Process.Pid] = struct{}{}
	return nil
}

// wait sees the leader's end without reaping it, kills what is left of its group while the group's number cannot be anybody else's, then reaps.
func (r *runner) wait(ctx context.Context, cmd *exec.Cmd) error {
	pid := cmd.Process.Pid
	exited := make(chan struct{})
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		endGroup(ctx, pid, exited)
	}()
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	close(exited)
	<-killed
	_ = syscall.Kill(-pid, syscall.SIGKILL)
	r.mu.Lock()
	delete(r.running, pid)
	r.mu.Unlock()
	return cmd.Wait()
}

func endGroup(ctx context.Context, pid int, exited <-chan struct{}) {
	select {
	case <-exited:
		return
	case <-ctx.Done():
	}
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	t := time.NewTimer(killGrace)
	defer t.Stop()
	select {
	case <-exited:
	case <-t.C:
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}

// killAll ends every process at once. It is for the way out of the program, when nobody is left to wait.
func (r *runner) killAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for pid := range r.running {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}

// commandError is a git that did not end well. Its stderr is redacted.
type commandError struct {
	args   []string
	stderr string
	err    error
}

func (e *commandError) Error() string {
	if e.stderr == "" {
		return fmt.Sprintf("git %s: %v", verb(e.args), e.err)
	}
	return fmt.Sprintf("git %s: %v: %s", verb(e.args), e.err, e.stderr)
}

func (e *commandError) Unwrap() error { return e.err }

// verb is git's command: the first argument that is no option.
func verb(args []string) string {
	for _, a := range args {
		if !strings.HasPrefix(a, "-") {
			return a
		}
	}
	return ""
}
