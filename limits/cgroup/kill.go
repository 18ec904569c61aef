package cgroup

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Kill sends SIGKILL to every process of the group, also to those that it forks meanwhile (E64), and thaws the ones that a v1 freezer
// holds, since those die only then (E4). It does not wait for their end: see [Group.WaitEmpty].
// We ourselves are never killed, should a thread of ours be in the group.
func (g *Group) Kill() error {
	if g.name == leaf {
		return errors.New("kill cgroup supervisor: that is us")
	}
	at := g.at()
	if len(at) == 0 {
		return NotContained(g.name)
	}
	err := g.killAtOnce()
	if errors.Is(err, errNoKillFile) {
		err = g.killOneByOne(at[0].dir)
	}
	return errors.Join(err, thaw(at[0].dir))
}

var errNoKillFile = errors.New("no cgroup.kill")

// killAtOnce needs cgroup2 of Linux 5.14.
func (g *Group) killAtOnce() error {
	p, ok := g.unified()
	if !ok {
		return errNoKillFile
	}
	err := write(p.dir, "cgroup.kill", "1")
	if !gone(err) {
		return err
	}
	if _, err := os.Lstat(p.dir); err != nil {
		return nil // nobody is left to be killed
	}
	return errNoKillFile
}

// killOneByOne looks again and again until a look shows no process that the one before did not. With the pids controller the group
// cannot fork any more by then. Without it, a fork bomb is outrun for 5 s; each round signals everything that it sees.
func (g *Group) killOneByOne(dir string) error {
	if p, ok := g.in(pids); ok {
		_ = write(p.dir, "pids.max", "0") // helps only; it ends with the group
	}
	var before []int
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		found, err := killRound(dir)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(found, func(pid int) bool { return !slices.Contains(before, pid) }) {
			return nil
		}
		before = found
	}
	return fmt.Errorf("kill cgroup %s: it forks faster than it can be killed", dir)
}

// killRound signals the members by pidfds taken between two looks, so that a pid that changed its owner is never hit (E11).
// It returns what the second look saw.
func killRound(dir string) ([]int, error) {
	found, err := members(dir)
	if err != nil {
		return nil, err
	}
	held := hold(found)
	defer held.release()
	still, err := members(dir)
	if err != nil {
		return nil, err
	}
	still = slices.DeleteFunc(still, func(pid int) bool { return pid == os.Getpid() })
	var errs []error
	for _, pid := range still {
		errs = append(errs, held.kill(pid))
	}
	return still, errors.Join(errs...)
}

// pidfds are processes that cannot be mistaken for others; -1 where the kernel is older than 5.3 and has none.
type pidfds map[int]int

func hold(processes []int) pidfds {
	held := pidfds{}
	for _, pid := range processes[:min(len(processes), 256)] { // a descriptor each, and there may be thousands
		if pid == os.Getpid() {
			continue
		}
		fd, err := unix.PidfdOpen(pid, 0)
		if err == nil || err == unix.ENOSYS {
			held[pid] = fd
		}
	}
	return held
}

func (held pidfds) kill(pid int) error {
	fd, ok := held[pid]
	if !ok {
		return nil // a newcomer, for the next round
	}
	err := error(nil)
	if fd < 0 {
		err = unix.Kill(pid, unix.SIGKILL)
	} else {
		err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
	if err != nil && err != unix.ESRCH {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return nil
}

func (held pidfds) release() {
	for _, fd := range held {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
