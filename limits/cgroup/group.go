package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Group is the processes of one run. In a tree that contains nothing it is empty handed: see [Group.Contains].
type Group struct {
	tree   *Tree
	name   string
	mu     sync.Mutex // guards places, to which Set may add, and fd
	places []place
	fd     int // of the cgroup2 directory, 0 before SpawnFD
}

// place is a group's directory in one hierarchy.
type place struct {
	tree *hierarchy
	dir  string
}

// Create makes a group, named <service>-<n>.<run>, before its first process is forked, and bounds it.
//
// On v1 only the hierarchies that the budget needs are used, since each costs (memory 85 µs, others 25 to 40 µs: measured on
// Linux 6.18), and that of cpu: without a share of its own a group would have that of the supervisor's leaf together with all
// such others. An existing group of that name is an error: a run's group is never used twice.
func (t *Tree) Create(name string, b Budget) (*Group, error) {
	if !isGroup(name) {
		return nil, fmt.Errorf("create cgroup %q: want <service>-<n>.<run>", name)
	}
	g := &Group{tree: t, name: name}
	for _, h := range t.all() {
		if !g.needs(h, b) {
			continue
		}
		if err := g.add(h, b); err != nil {
			return nil, errors.Join(err, g.Remove())
		}
	}
	return g, nil
}

// add gives the group a bounded directory in one more hierarchy.
func (g *Group) add(h *hierarchy, b Budget) error {
	p := place{h, filepath.Join(h.ours, g.name)}
	if err := os.Mkdir(p.dir, 0o755); err != nil {
		return fmt.Errorf("create cgroup: %w", err)
	}
	g.places = append(g.places, p)
	return p.set(b, true)
}

// needs says whether a new group needs a directory in h: the first one and cpu's always, the others for a bound only.
func (g *Group) needs(h *hierarchy, b Budget) bool {
	return len(g.places) == 0 || h.has(cpu) || slices.ContainsFunc(b.v1(), func(k knob) bool { return !k.unset && h.has(k.controller) })
}

// Adopt takes over a group that an earlier life of ours created. The error wraps [fs.ErrNotExist] if there is none.
func (t *Tree) Adopt(name string) (*Group, error) {
	var dirs []string
	for _, h := range t.all() {
		dirs = append(dirs, filepath.Join(h.ours, name))
	}
	return t.AdoptAt(name, dirs)
}

// AdoptAt is [Tree.Adopt] by the [Group.Paths] of a run record: an earlier life may have been started elsewhere in the machine's
// tree. Paths that are gone are left out; a path that is not a group of this name in a hierarchy of ours is refused.
func (t *Tree) AdoptAt(name string, paths []string) (*Group, error) {
	if !isGroup(name) {
		return nil, fmt.Errorf("adopt cgroup %q: want <service>-<n>.<run>", name)
	}
	g := &Group{tree: t, name: name}
	for _, dir := range paths {
		h := t.holding(dir)
		if h == nil || filepath.Base(dir) != name {
			return nil, fmt.Errorf("adopt cgroup %s: %s is not one of ours", name, dir)
		}
		if _, err := os.Lstat(filepath.Join(dir, "cgroup.procs")); err == nil {
			g.places = append(g.places, place{h, dir})
		}
	}
	if len(g.places) == 0 {
		return nil, fmt.Errorf("adopt cgroup %s: %w", name, fs.ErrNotExist)
	}
	return g, nil
}

// holding is the hierarchy that a directory lies in.
func (t *Tree) holding(dir string) *hierarchy {
	for _, h := range t.all() {
		if rel, err := filepath.Rel(h.mount, dir); err == nil && filepath.IsLocal(rel) && filepath.Clean(dir) == dir {
			return h
		}
	}
	return nil
}

// Name is what Create was given.
func (g *Group) Name() string { return g.name }

// Contains says whether the group knows its processes. If not, Pids, Populated, Kill and WaitEmpty answer [NotContained].
func (g *Group) Contains() bool { return len(g.at()) > 0 }

// Paths are the group's directories, for run records.
func (g *Group) Paths() []string {
	var paths []string
	for _, p := range g.at() {
		paths = append(paths, p.dir)
	}
	return paths
}

func (g *Group) at() []place {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.places)
}

// in finds the directory where a controller of the group is.
func (g *Group) in(controller string) (place, bool) {
	for _, p := range g.at() {
		if p.tree.has(controller) {
			return p, true
		}
	}
	return place{}, false
}

// unified is the group's directory in cgroup2.
func (g *Group) unified() (place, bool) {
	for _, p := range g.at() {
		if p.tree.unified {
			return p, true
		}
	}
	return place{}, false
}

// Exists returns a [Vanished] if a directory of the group is gone. A fork into it answers "no such file or directory" and names the
// program then, so ask here first (E23).
func (g *Group) Exists() error {
	for _, p := range g.at() {
		if err := unix.Access(p.dir, unix.F_OK); err == unix.ENOENT {
			return Vanished(p.dir)
		}
	}
	return nil
}

// Remove removes the group once it is empty, retrying for 100 ms while the kernel still says busy (E1). It is no error if it is gone.
func (g *Group) Remove() error {
	g.Close()
	var errs []error
	for _, p := range g.at() {
		errs = append(errs, remove(p.dir))
	}
	return errors.Join(errs...)
}

// Close gives back the descriptor of [Group.SpawnFD]; the group stays.
func (g *Group) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fd > 0 {
		unix.Close(g.fd)
		g.fd = 0
	}
}

func remove(dir string) error {
	deadline := time.Now().Add(100 * time.Millisecond)
	for pause := 200 * time.Microsecond; ; pause *= 2 {
		err := unix.Rmdir(dir)
		if err == nil || gone(err) {
			return nil
		}
		if err != unix.EBUSY && err != unix.EINTR || time.Now().After(deadline) {
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
		time.Sleep(pause)
	}
}

// Vanished names the directory of a group that somebody else removed.
type Vanished string

func (v Vanished) Error() string { return "cgroup " + string(v) + " is gone" }

// Hint names the remedy.
func (v Vanished) Hint() string {
	return "something else on this machine removes our cgroups; a unit that runs us needs Delegate=yes"
}

// NotContained says that a group cannot tell its processes.
type NotContained string

func (n NotContained) Error() string { return "no cgroup holds the processes of " + string(n) }

// Hint names the remedy.
func (n NotContained) Hint() string {
	return "give the container a writable cgroup, or set Delegate=yes in the unit that runs us"
}
