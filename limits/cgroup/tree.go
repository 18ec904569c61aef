package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Grade says by what a budget is in force.
type Grade string

// The grades of ARCHITECTURE.md; at Soft no kernel limit holds for a service as a whole.
const (
	V2   Grade = "v2"
	V1   Grade = "v1"
	Soft Grade = "soft"
)

// Tree is our part of the machine's cgroups. Its methods may be called from several goroutines.
type Tree struct {
	unified *hierarchy   // cgroup2, with controllers or bare; nil without one
	legacy  []*hierarchy // v1, those of memory, cpu, pids and cpuacct that are of use
	family  []int        // processes that enter the leaf with us
	binding binding      // programs that keep listeners on loopback
}

// Grade is the best means by which any budget is in force.
func (t *Tree) Grade() Grade {
	if t.unified != nil && slices.ContainsFunc(wanted[:], t.unified.has) {
		return V2
	}
	if slices.ContainsFunc(wanted[:], t.Enforces) {
		return V1
	}
	return Soft
}

// Enforces says whether a controller, one of memory, cpu and pids, is ours to use.
func (t *Tree) Enforces(controller string) bool { return t.home(controller) != nil }

// Contains says whether groups know their processes: whether an empty group proves death.
func (t *Tree) Contains() bool { return t.unified != nil || len(t.legacy) > 0 }

// home is the hierarchy in which a controller is ours.
func (t *Tree) home(controller string) *hierarchy {
	for _, h := range t.all() {
		if h.has(controller) {
			return h
		}
	}
	return nil
}

// all hierarchies, the one in which every group has a directory first.
func (t *Tree) all() []*hierarchy {
	if t.unified == nil {
		return t.legacy
	}
	return append([]*hierarchy{t.unified}, t.legacy...)
}

// EnterSupervisor moves us, and [Options.Family], into the leaf <ours>/supervisor of every hierarchy. Where controllers of cgroup2
// are in use [Open] has done so already, since none can be had while we are in the way (E61). It may be called again.
func (t *Tree) EnterSupervisor() error {
	var errs []error
	for _, h := range t.all() {
		for _, pid := range t.family {
			errs = append(errs, move(h.leaf(), pid))
		}
	}
	return errors.Join(errs...)
}

// Supervisor is the leaf that we sit in, for a budget of our own. It cannot be killed or removed.
func (t *Tree) Supervisor() *Group {
	g := &Group{tree: t, name: leaf}
	for _, h := range t.all() {
		g.places = append(g.places, place{h, h.leaf()})
	}
	return g
}

// Groups names every group in our directories, those of earlier lives of ours included; see [Tree.Adopt].
func (t *Tree) Groups() ([]string, error) {
	var names []string
	for _, h := range t.all() {
		entries, err := os.ReadDir(h.ours)
		if err != nil {
			return nil, fmt.Errorf("list our cgroups: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() && isGroup(e.Name()) {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Destroy removes the empty groups, moves what is in the leaf back to where [Open] found us and removes our directories.
// The error names each group that still has processes; nothing is killed.
func (t *Tree) Destroy() error {
	names, err := t.Groups()
	errs := []error{err}
	for _, name := range names {
		if g, err := t.Adopt(name); err == nil {
			errs = append(errs, g.Remove())
		}
	}
	for _, h := range t.all() {
		errs = append(errs, h.disable(), empty(h.leaf(), h.origin), h.unmake())
	}
	return errors.Join(errs...)
}

// disable takes back the controllers that we switched on: a group whose children have some may hold no process itself.
func (h *hierarchy) disable() error {
	if !h.unified {
		return nil
	}
	var errs []error
	for _, c := range h.in {
		errs = append(errs, write(h.ours, "cgroup.subtree_control", "-"+c))
	}
	for _, c := range h.enabled {
		errs = append(errs, write(filepath.Dir(h.ours), "cgroup.subtree_control", "-"+c))
	}
	return errors.Join(errs...)
}
