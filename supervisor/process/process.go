package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Process is one process, named for ever by its pidfd. Its methods may be called from any goroutine.
type Process struct {
	Warnings []string // what could not be set at its birth and is only worth a word

	pid     int
	started uint64
	pidfd   *os.File // registered with netpoll: a waiter costs a goroutine, not a thread
	poll    syscall.RawConn
	adopted bool

	mu     sync.Mutex
	exit   *Exit
	reaped bool
}

// newProcess takes over pidfd; -1 opens one, for a child that is not reaped yet.
func newProcess(pid, pidfd int) (*Process, error) {
	if pidfd < 0 {
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return nil, fmt.Errorf("open a pidfd of process %d: %w", pid, err)
		}
		pidfd = fd
	}
	started, err := StartTime(pid)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(pidfd, true); err != nil {
		return nil, fmt.Errorf("prepare the pidfd of process %d: %w", pid, err)
	}
	p := &Process{pid: pid, started: started, pidfd: os.NewFile(uintptr(pidfd), "pidfd:"+strconv.Itoa(pid))}
	if p.poll, err = p.pidfd.SyscallConn(); err != nil {
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	return p, nil
}

// Adopt takes over a process that somebody else started: its number and start time must both be right.
// The error wraps os.ErrProcessDone if it is gone or the number is another's by now.
func Adopt(pid int, startTime uint64) (*Process, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		if err == unix.ESRCH || err == unix.EINVAL {
			err = os.ErrProcessDone
		}
		return nil, fmt.Errorf("adopt process %d: %w", pid, err)
	}
	p, err := newProcess(pid, fd)
	if err != nil {
		_ = unix.Close(fd)
		if isGone(err) {
			err = os.ErrProcessDone
		}
		return nil, fmt.Errorf("adopt process %d: %w", pid, err)
	}
	if p.started != startTime {
		_ = p.pidfd.Close()
		return nil, fmt.Errorf("adopt process %d: started at tick %d, not %d: %w", pid, p.started, startTime, os.ErrProcessDone)
	}
	p.adopted = true
	return p, nil
}

// PID is its number in our pid namespace.
func (p *Process) PID() int { return p.pid }

// StartTime is its start in clock ticks since boot: field 22 of /proc/PID/stat.
func (p *Process) StartTime() uint64 { return p.started }

// Adopted reports whether it came from Adopt.
func (p *Process) Adopted() bool { return p.adopted }

// Wait waits until it has ended and says how, without reaping it: its number stays taken until Reap. It may be called more than once.
// For an adopted process Exit.Known is false, unless it is our child after all.
func (p *Process) Wait() (Exit, error) {
	var exit *Exit
	err := p.poll.Read(func(fd uintptr) (done bool) {
		exit = p.peek(int(fd))
		return exit != nil
	})
	if exit != nil {
		return *exit, nil
	}
	if p.ended() {
		return *p.exit, nil
	}
	return Exit{}, fmt.Errorf("wait for process %d: %w", p.pid, err)
}

func (p *Process) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.exit != nil
}

// peek is the exit if the process has ended. Its last thread must be gone: a zombie leader with live threads has not ended (E22).
func (p *Process) peek(pidfd int) *Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exit != nil {
		return p.exit
	}
	ready := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	if n, _ := unix.Poll(ready, 0); n != 1 {
		return nil
	}
	var info unix.Siginfo
	var usage unix.Rusage
	err := unix.Waitid(unix.P_PIDFD, pidfd, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, &usage)
	if err == unix.EINTR || err == nil && info.Signo == 0 {
		return nil
	}
	p.exit = &Exit{}
	if err == nil {
		*p.exit = exitFrom(&info, &usage)
	}
	return p.exit
}

// Reap frees the number of a process that has ended, and the pidfd. The caller has recorded the exit by now.
// Reaping one that still runs is an error and changes nothing.
func (p *Process) Reap() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return nil
	}
	if p.exit == nil {
		return fmt.Errorf("reap process %d: it has not ended", p.pid)
	}
	var err error
	if p.exit.Known {
		ctlErr := p.poll.Control(func(fd uintptr) {
			err = unix.Waitid(unix.P_PIDFD, int(fd), nil, unix.WEXITED|unix.WNOHANG, nil)
		})
		err = errors.Join(ctlErr, err)
	}
	if err != nil && !errors.Is(err, unix.ECHILD) {
		return fmt.Errorf("reap process %d: %w", p.pid, err)
	}
	p.reaped = true
	return p.pidfd.Close()
}

// Forget gives the pidfd up without touching the process.
func (p *Process) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		p.reaped = true
		_ = p.pidfd.Close()
	}
}

// isGone reports that a process is not there any more, in any of the kernel's words for it.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrProcessDone)
}

func isNoDescriptor(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}
