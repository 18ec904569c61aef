package process

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
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

// NewSpawner prepares the spawner's thread.
//
// Signals that this process ignores (nohup) are caught and dropped from now on, so that no child inherits the ignoring.
func NewSpawner() (*Spawner, error) {
	spare, err := newReserve()
	if err != nil {
		return nil, err
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		spare.release()
		return nil, fmt.Errorf("open /dev/null: %w", err)
	}
	s := &Spawner{jobs: make(chan *job), closed: make(chan struct{}), reserve: spare, null: null}
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
		return nil, closedError(spec)
	}
}

func closedError(spec Spec) error {
	return &ExecError{Step: StepFork, Program: spec.Program, Path: spec.Program, Err: os.ErrClosed}
}

func (s *Spawner) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// loop owns the thread, which goes straight from one child's v1 cgroups to the next one's when that waits already. Where it cannot leave them for
// ours it is given up for a new one, because they could never be removed.
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
			for j != nil {
				s.fork(t, j)
				next := s.waiting()
				var left error
				if next == nil || !slices.Equal(next.spec.HomeFiles, j.spec.HomeFiles) {
					left = returnHome(j.spec)
				}
				if left != nil {
					j.warnings = append(j.warnings, left.Error())
				}
				close(j.done)
				if left != nil {
					s.replace(next)
					return // ends the thread: it was locked
				}
				j = next
			}
		}
	}
}

// waiting is a job that somebody waits for already, or nil.
func (s *Spawner) waiting() *job {
	select {
	case j := <-s.jobs:
		return j
	default:
		return nil
	}
}

// replace gives the jobs, and the one that has been taken, to a new thread.
func (s *Spawner) replace(taken *job) {
	replaced := make(chan error, 1)
	s.ended.Go(func() { onThread(func() { s.loop(replaced) }) })
	<-replaced
	if taken == nil {
		return
	}
	select {
	case s.jobs <- taken:
	case <-s.closed:
		taken.err = closedError(taken.spec)
		close(taken.done)
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
	if err := returnHome(j.spec); err != nil {
		j.warnings = append(j.warnings, err.Error())
	}
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
