package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// memory is what /proc/PID/smaps_rollup says, in bytes.
type memory struct{ anonymous, pss float64 }

func memoryOf(pids ...int) (memory, error) {
	var m memory
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return m, err
		}
		for line := range strings.Lines(string(text)) {
			var kb float64
			if n, _ := fmt.Sscanf(line, "Anonymous: %f kB", &kb); n == 1 {
				m.anonymous += kb * 1024
			}
			if n, _ := fmt.Sscanf(line, "Pss: %f kB", &kb); n == 1 {
				m.pss += kb * 1024
			}
		}
	}
	return m, nil
}

// memorySettled is when the supervisor has nothing left to do after a start.
const memorySettled = 5 * time.Second

// memoryFigure is about what cannot be reclaimed, and the share of what is mapped. A peer is its supervisors without the services.
func memoryFigure(b *bench) ([]row, error) {
	binary, err := os.Stat(b.program)
	if err != nil {
		return nil, err
	}
	const few, many = 30, 130
	anonymous, pss, door, each := newSamples(), newSamples(), newSamples(), newSamples()
	for range min(b.rounds, 3) {
		all, front, err := b.ownMemory(few)
		if err != nil {
			return nil, err
		}
		more, _, err := b.ownMemory(many)
		if err != nil {
			return nil, err
		}
		anonymous.add(us, (all.anonymous-front.anonymous)/1e6)
		pss.add(us, all.pss/1e6)
		door.add(us, front.anonymous/1e6)
		each.add(us, (more.anonymous-all.anonymous)/(many-few)/1e3)
		for _, c := range peers() {
			m, err := b.peerMemory(c, few)
			if err != nil {
				return nil, err
			}
			anonymous.add(c.name, m.anonymous/1e6)
			pss.add(c.name, m.pss/1e6)
		}
	}
	size := float64(binary.Size()) / 1e6
	return []row{
		{title: "memory that cannot be reclaimed, stage 0 + stage 1, 30 services", unit: "MB", cells: anonymous.cells(0.5), atMost: true, limit: 10, target: "≤ 10 MB"},
		{title: "the same and the door as PSS", unit: "MB", cells: pss.cells(0.5), atMost: true, limit: size + 10, target: "≤ binary + 10 MB = " + short(size+10)},
		{title: "the door, anonymous", unit: "MB", cells: door.cells(0.5), atMost: true, limit: 6, target: "≤ 6 MB"},
		{title: "a service more, anonymous", unit: "kB", cells: each.cells(0.5), atMost: true, limit: 30, target: "≤ 30 kB"},
	}, nil
}

func (b *bench) ownMemory(n int) (all, door memory, err error) {
	p, err := b.warm(ours(), independent(n))
	if err != nil {
		return all, door, err
	}
	r, _, err := b.up(p.contestant, p.dir, p.argv, n)
	if err != nil {
		return all, door, err
	}
	defer r.stop()
	time.Sleep(memorySettled)
	pids, err := r.own()
	if err != nil {
		return all, door, err
	}
	if all, err = memoryOf(pids...); err != nil {
		return all, door, err
	}
	door, err = memoryOf(pids[2])
	return all, door, err
}

// peerMemory is that of everything but the tiny services.
func (b *bench) peerMemory(c contestant, n int) (memory, error) {
	p, err := b.warm(c, independent(n))
	if err != nil {
		return memory{}, err
	}
	r, got, err := b.up(c, p.dir, p.argv, n)
	if err != nil {
		return memory{}, err
	}
	defer r.stop()
	services := map[int]bool{}
	for _, st := range got {
		services[st.pid] = true
	}
	pids := []int{r.cmd.Process.Pid}
	for _, d := range descendants(r.cmd.Process.Pid) {
		if !services[d.pid] {
			pids = append(pids, d.pid)
		}
	}
	return memoryOf(pids...)
}
