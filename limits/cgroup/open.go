package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Options of [Open].
type Options struct {
	Name   string   // our directory where none was delegated to us; see [NameFor]
	Family []int    // processes that belong to us and enter the supervisor's leaf with us: stage 0
	Ignore []string // leave these alone: cgroup2, or a v1 hierarchy by its controller; "all" for no cgroups at all
}

// Open finds or makes our subtree. The reasons say, one sentence each, what is not to be had and why; with all of them
// the tree is of grade [Soft] and contains nothing. The error is for a missing or unusable name only.
func Open(o Options) (*Tree, []string, error) {
	if o.Name == "" || o.Name == leaf || strings.ContainsAny(o.Name, "/\n") || isGroup(o.Name) {
		return nil, nil, fmt.Errorf("open cgroups: %q cannot be the name of our directory", o.Name)
	}
	t := &Tree{family: append([]int{os.Getpid()}, o.Family...)}
	if slices.Contains(o.Ignore, "all") {
		return t, []string{"cgroups are switched off"}, nil
	}
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return t, []string{"no cgroup can be found: " + err.Error()}, nil
	}
	f, all := finder{Options: o, tree: t}, mounts(string(mountinfo))
	for _, m := range all {
		if m.unified && t.unified == nil && !slices.Contains(f.Ignore, "cgroup2") {
			f.tryUnified(m)
		}
	}
	for _, c := range f.useful() {
		for _, m := range all {
			if !m.unified && m.serves(c) && t.home(c) == nil && !slices.Contains(f.Ignore, c) {
				f.tryLegacy(m)
			}
		}
	}
	f.explainMissing()
	return t, f.why, nil
}

// finder collects the hierarchies that work and the reasons of those that do not.
type finder struct {
	Options
	tree *Tree
	why  []string
}

// useful are the v1 controllers worth a directory, the one in which every group gets one first: the cheapest, and without cgroup2
// the one that counts CPU time.
func (f *finder) useful() []string {
	if f.tree.unified == nil {
		return []string{"cpuacct", pids, cpu, memory}
	}
	return []string{pids, cpu, memory}
}

func (f *finder) tryUnified(m mount) {
	h, err := f.openUnified(m)
	f.note("cgroup2 at "+m.dir, err)
	f.tree.unified = h
}

func (f *finder) note(what string, err error) {
	if err == nil {
		return
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		f.why = append(f.why, what+": "+line)
	}
}

// tryLegacy takes a v1 hierarchy, below our own cgroup.
func (f *finder) tryLegacy(m mount) {
	h, err := locate(m, f.Name)
	if err == nil {
		err = h.make()
	}
	f.note("cgroup v1 at "+m.dir, explain(err))
	if err != nil {
		return
	}
	if h.in = m.controllers; h.has(memory) {
		_ = write(h.ours, "memory.use_hierarchy", "1") // before Linux 5.11 a limit did not reach down by itself
	}
	f.tree.legacy = append(f.tree.legacy, h)
}

// explainMissing names the controllers that are nowhere.
func (f *finder) explainMissing() {
	missing := slices.DeleteFunc(slices.Clone(wanted[:]), f.tree.Enforces)
	if len(missing) > 0 {
		f.why = append(f.why, "no kernel limit on "+strings.Join(missing, ", ")+": no such controller is ours to use")
	}
	if f.tree.Grade() == V1 {
		f.why = append(f.why, "no guaranteed memory: cgroup v1 has no memory.low")
	}
}

// locate finds our own cgroup in a mounted hierarchy, and there our directory: an earlier life of ours may have moved us into its leaf.
func locate(m mount, name string) (*hierarchy, error) {
	if m.readOnly {
		return nil, errReadOnly
	}
	own, ok, err := find(os.Getpid(), m)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("the cgroup that we are in is not visible there")
	}
	h := &hierarchy{mount: m.dir, unified: m.unified, origin: own}
	if parent := filepath.Dir(own); filepath.Base(own) == leaf && filepath.Base(parent) == name {
		h.ours, h.origin = parent, filepath.Dir(parent)
		return h, nil
	}
	h.ours = filepath.Join(own, name)
	return h, nil
}

var errReadOnly = errors.New("it is mounted read-only")

// explain puts the usual refusals into words.
func explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("it is not delegated to us: %w", err)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: %w", errReadOnly, err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("it holds processes that we cannot move: %w", err)
	}
	return err
}

// find gives the directory of a process in a mounted hierarchy.
func find(pid int, m mount) (string, bool, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", false, err
	}
	dir, ok := m.dirOf(memberships(string(data)))
	return dir, ok, nil
}
