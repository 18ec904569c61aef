package cgroup

import (
	"errors"
	"math"
	"slices"
	"strconv"
)

// Budget bounds what the processes of a group may use together; a zero field means no bound.
type Budget struct {
	Memory    int64   // bytes, page cache included; above it the kernel reclaims, then kills inside the group (memory.max)
	MemoryLow int64   // bytes that reclaim leaves alone as long as others have any (memory.low; v2 only)
	CPUs      float64 // CPUs' worth of time in each 100 ms, at least 0.01 (cpu.max)
	CPUWeight int     // share under contention, 1 to 10000, the default is 100 (cpu.weight)
	Pids      int     // processes and threads (pids.max)
}

// Controllers that a budget needs; everything else of cgroups is left alone.
const (
	memory = "memory"
	cpu    = "cpu"
	pids   = "pids"
)

var wanted = [...]string{memory, cpu, pids}

// period of cpu.max in µs: the kernel's default, with a quota of at least 1 ms. Source: Linux, kernel/sched/core.c.
const (
	period   = 100_000
	minQuota = 1_000
)

// knob is one file of a controller and what a budget writes to it.
type knob struct {
	controller, file string
	value            string
	unset            bool // the budget does not bound it: value is the kernel's default
}

func (b Budget) v2() []knob {
	weight := "100"
	if b.CPUWeight > 0 {
		weight = strconv.Itoa(min(b.CPUWeight, 10_000))
	}
	quota := "max"
	if b.CPUs > 0 {
		quota = b.quota()
	}
	return []knob{
		{memory, "memory.max", orMax(b.Memory, "max"), b.Memory <= 0},
		{memory, "memory.low", strconv.FormatInt(max(b.MemoryLow, 0), 10), b.MemoryLow <= 0},
		{cpu, "cpu.max", quota + " " + strconv.Itoa(period), b.CPUs <= 0},
		{cpu, "cpu.weight", weight, b.CPUWeight <= 0},
		{pids, "pids.max", orMax(int64(b.Pids), "max"), b.Pids <= 0},
	}
}

// v1 has no memory.low: soft_limit_in_bytes is something else, a point from which reclaim prefers the group.
func (b Budget) v1() []knob {
	shares, quota := "1024", "-1"
	if b.CPUWeight > 0 {
		shares = strconv.Itoa(min(b.CPUWeight, 10_000) * 1024 / 100)
	}
	if b.CPUs > 0 {
		quota = b.quota()
	}
	return []knob{
		{memory, "memory.limit_in_bytes", orMax(b.Memory, "-1"), b.Memory <= 0},
		{cpu, "cpu.cfs_quota_us", quota, b.CPUs <= 0},
		{cpu, "cpu.shares", shares, b.CPUWeight <= 0},
		{pids, "pids.max", orMax(int64(b.Pids), "max"), b.Pids <= 0},
	}
}

func (b Budget) quota() string {
	return strconv.Itoa(max(int(math.Round(b.CPUs*period)), minQuota))
}

func orMax(n int64, unbounded string) string {
	if n <= 0 {
		return unbounded
	}
	return strconv.FormatInt(n, 10)
}

// Set puts a budget into force, removing bounds that it does not have. Bounds of a controller that is not ours to use are
// passed over: [Tree.Grade] has said so. The error names the file; EBUSY for memory on v1 means more is in use and cannot be reclaimed.
func (g *Group) Set(b Budget) error {
	var errs []error
	for _, p := range g.at() {
		errs = append(errs, p.set(b, false))
	}
	return errors.Join(append(errs, g.extend(b))...)
}

// extend takes the group into the hierarchies that [Tree.Create] left out because there was nothing to bound.
func (g *Group) extend(b Budget) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.places) == 0 {
		return nil
	}
	first := g.places[0].dir
	var errs []error
	for _, h := range g.tree.all() {
		if slices.ContainsFunc(g.places, func(p place) bool { return p.tree == h }) || !g.needs(h, b) {
			continue
		}
		if err := g.add(h, b); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, follow(first, g.places[len(g.places)-1].dir))
	}
	return errors.Join(errs...)
}

// set writes the knobs of the controllers that live here, all or only those that a new group has not got by default.
func (p place) set(b Budget, fresh bool) error {
	knobs := b.v1()
	if p.tree.unified {
		knobs = b.v2()
	}
	var errs []error
	for _, k := range knobs {
		if p.tree.has(k.controller) && !(fresh && k.unset) {
			errs = append(errs, write(p.dir, k.file, k.value))
		}
	}
	return errors.Join(errs...)
}
