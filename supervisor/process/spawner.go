package process

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// busyRetries are the waits before an executable that somebody still has open for writing is tried again (ETXTBSY): a descriptor that a
// fork elsewhere in the process copied is gone within the time of an exec.
var busyRetries = [...]time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 80 * time.Millisecond}

// Spawner starts processes. It owns one thread, on which all the usual ones are forked one after the other; a Spec with
// capabilities or a nice value of its own gets a thread that lives for that fork alone.
type Spawner struct {
	home     []string // our own v1 tasks files: where the thread returns to
	jobs     chan *job
	closed   chan struct{} // closed by Close
	ended    sync.WaitGroup
	once     sync.Once
	reserve  *reserve
	null     int         // /dev/null
	joinLate atomic.Bool // clone3 into a cgroup is refused here: join it at the stop before the first instruction
}

// job is one fork that somebody waits for.
type job struct {
	spec Spec
	done chan struct{}

	pid, pidfd int
	lateLimit  bool // the limit of descriptors is still to be set
	warnings   []string
	err        error
}

// NewSpawner prepares the spawner's thread. home holds the v1 `tasks` files of our own cgroups; it may be empty when no Spec has TaskFiles.
//
// Signals that this process ignores (nohup) are caught and dropped from now on, so that no child inherits the ignoring.
func NewSpawner(home ...string) (*Spawner, error) {
	spare, err := newReserve()
	if err != nil {
		return nil, err
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		spare.release()
		return nil, fmt.Errorf("open /dev/null: %w", err)
	}
	s := &Spawner{home: home, jobs: make(chan *job), closed: make(chan struct{}), reserve: spare, null: null}
	catchIgnored()
	ready := make(chan error, 1)
	s.ended.Go(func() { onThread(func() { s.loop(ready) }) })
	if err := <-ready; err != nil {
		s.Close()
		return nil, fmt.Errorf("prepare the thread that starts processes: %w", err)
	}
	return s, nil
}

// Close ends the thread. Processes that were started run on.
func (s *Spawner) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.ended.Wait()
		s.reserve.release()
		_ = unix.Close(s.null)
	})
}

// Start forks and executes spec. When it returns without error the exec has succeeded. The error is an *ExecError.
func (s *Spawner) Start(spec Spec) (*Process, error) {
	if err := spec.validate(); err != nil {
		return nil, err
	}
	for _, wait := range busyRetries {
		p, err := s.attempt(spec)
		if !errors.Is(err, unix.ETXTBSY) {
			return p, err
		}
		time.Sleep(wait)
	}
	return s.attempt(spec)
}

func (s *Spawner) attempt(spec Spec) (*Process, error) {
	j := &job{spec: spec, done: make(chan struct{})}
	keep, err := capNumbers(spec.Caps)
	if err != nil {
		return nil, err
	}
	if prof := (profile{caps: keep, nice: spec.Nice}); !prof.common() && !s.isClosed() {
		go onThread(func() { s.forkOnce(prof, j) })
		<-j.done
		return s.finish(j)
	}
	select {
	case s.jobs <- j:
		<-j.done
		return s.finish(j)
	case <-s.closed:
		return nil, &ExecError{Step: StepFork, Program: spec.Program, Path: spec.Program, Err: os.ErrClosed}
	}
}

func (s *Spawner) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// loop owns the thread. Where the thread cannot leave a child's cgroup it is given up for a new one, because the group could never be removed.
func (s *Spawner) loop(ready chan<- error) {
	t, err := enterThread(profile{})
	ready <- err
	if err != nil {
		return
	}
	for {
		select {
		case <-s.closed:
			return
		case j := <-s.jobs:
			stranded := s.fork(t, j)
			close(j.done)
			if stranded {
				replaced := make(chan error, 1)
				s.ended.Go(func() { onThread(func() { s.loop(replaced) }) })
				<-replaced
				return // ends the thread: it was locked
			}
		}
	}
}

// forkOnce runs one job on a thread of its own, which ends with this goroutine.
func (s *Spawner) forkOnce(prof profile, j *job) {
	defer close(j.done)
	t, err := enterThread(prof)
	if err != nil {
		j.err = &ExecError{Step: StepFork, Program: j.spec.Program, Path: j.spec.Program, Err: err}
		return
	}
	s.fork(t, j)
}

// catchIgnored makes ignored signals caught ones, which exec resets to their default.
func catchIgnored() {
	var ignored []os.Signal
	for n := syscall.Signal(1); n < 32; n++ {
		if n != unix.SIGKILL && n != unix.SIGSTOP && signal.Ignored(n) {
			ignored = append(ignored, n)
		}
	}
	if len(ignored) > 0 {
		signal.Notify(make(chan os.Signal, 1), ignored...)
	}
}
