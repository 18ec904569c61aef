package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Signal sends sig to the process through its pidfd, never to a number. The error wraps os.ErrProcessDone if it has ended.
func (p *Process) Signal(sig syscall.Signal) error {
	return p.send(sig, func(fd int) error { return unix.PidfdSendSignal(fd, sig, nil, 0) })
}

// SignalGroup sends sig to its process group, which is its own since birth: what it started without a new session or group.
// The error wraps os.ErrProcessDone once the process is reaped: the number could be another's.
func (p *Process) SignalGroup(sig syscall.Signal) error {
	return p.send(sig, func(fd int) error {
		err := unix.PidfdSendSignal(fd, sig, nil, unix.PIDFD_SIGNAL_PROCESS_GROUP)
		if err == unix.EINVAL { // before Linux 6.9
			err = p.killGroup(fd, sig)
		}
		return err
	})
}

// killGroup refuses every group that is not the process's own: one that it does not lead, ours, init's and "all".
func (p *Process) killGroup(fd int, sig syscall.Signal) error {
	if err := unix.PidfdSendSignal(fd, 0, nil, 0); err != nil && err != unix.EPERM {
		return err
	}
	pgid, err := unix.Getpgid(p.pid)
	if err != nil {
		return err
	}
	if err := refuseGroup(pgid, unix.Getpgrp()); err != nil {
		return err
	}
	if pgid != p.pid {
		return fmt.Errorf("group %d is not its own", pgid)
	}
	return unix.Kill(-pgid, sig)
}

func refuseGroup(pgid, own int) error {
	if pgid <= 1 || pgid == own {
		return fmt.Errorf("group %d is ours, init's or everybody's", pgid)
	}
	return nil
}

func (p *Process) send(sig syscall.Signal, deliver func(fd int) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.reaped {
		err = os.ErrProcessDone
	} else {
		ctlErr := p.poll.Control(func(fd uintptr) { err = deliver(int(fd)) })
		err = errors.Join(ctlErr, err)
	}
	if errors.Is(err, unix.ESRCH) {
		err = os.ErrProcessDone
	}
	if err != nil {
		return fmt.Errorf("send %s to process %d: %w", unix.SignalName(sig), p.pid, err)
	}
	return nil
}
