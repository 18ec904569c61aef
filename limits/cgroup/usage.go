package cgroup

import (
	"errors"
	"io/fs"
	"time"
)

// Usage is what a group uses and has used. A figure that no controller of ours counts is zero.
type Usage struct {
	Memory     int64         // bytes, page cache included
	MemoryPeak int64         // bytes, the most since the group exists
	CPU        time.Duration // used by all processes, ended ones included
	Pids       int           // processes and threads; processes only without the pids controller
}

// Usage reads the counters. A group that is gone uses nothing.
func (g *Group) Usage() (Usage, error) {
	var u Usage
	var errs [4]error
	if p, ok := g.in(memory); ok {
		u.Memory, errs[0] = number(p.dir, p.pick("memory.current", "memory.usage_in_bytes"))
		u.MemoryPeak, errs[1] = number(p.dir, p.pick("memory.peak", "memory.max_usage_in_bytes"))
	}
	u.CPU, errs[2] = g.cpuTime()
	u.Pids, errs[3] = g.tasks()
	for i, err := range errs {
		if errors.Is(err, fs.ErrNotExist) || gone(err) || errors.As(err, new(NotContained)) {
			errs[i] = nil // gone, or an older kernel: memory.peak is of Linux 5.19
		}
	}
	return u, errors.Join(errs[:]...)
}

// pick chooses between cgroup2's name of a file and v1's.
func (p place) pick(v2, v1 string) string {
	if p.tree.unified {
		return v2
	}
	return v1
}

// cpuTime is known to every cgroup2 group, controllers or not.
func (g *Group) cpuTime() (time.Duration, error) {
	if p, ok := g.unified(); ok {
		us, err := field(p.dir, "cpu.stat", "usage_usec")
		return time.Duration(us) * time.Microsecond, err
	}
	if p, ok := g.in("cpuacct"); ok {
		ns, err := number(p.dir, "cpuacct.usage")
		return time.Duration(ns), err
	}
	return 0, nil
}

func (g *Group) tasks() (int, error) {
	if p, ok := g.in(pids); ok {
		n, err := number(p.dir, "pids.current")
		return int(n), err
	}
	found, err := g.Pids()
	return len(found), err
}

// OOMKills counts the processes that the kernel killed for want of memory, in this group or on the whole machine, since it exists: a
// difference means that an exit's cause is memory, even if only a helper was hit (E41). Zero without the memory controller.
func (g *Group) OOMKills() (uint64, error) {
	p, ok := g.in(memory)
	if !ok {
		return 0, nil
	}
	return count(p.dir, p.pick("memory.events", "memory.oom_control"), "oom_kill")
}

// PidsLimitHits counts the forks that pids.max refused: what answered EAGAIN there (E25, E64). Zero without the pids controller.
func (g *Group) PidsLimitHits() (uint64, error) {
	p, ok := g.in(pids)
	if !ok {
		return 0, nil
	}
	return count(p.dir, "pids.events", "max")
}

func count(dir, file, key string) (uint64, error) {
	n, err := field(dir, file, key)
	if gone(err) {
		return 0, nil
	}
	return n, err
}
