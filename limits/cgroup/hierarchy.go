package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// hierarchy is one cgroup tree in which we have a directory.
type hierarchy struct {
	mount     string
	unified   bool
	in        []string // what a budget can set here, and cpuacct
	origin    string   // where we were before we entered the leaf
	ours      string
	delegated bool     // ours was given to us whole: it is not ours to remove
	enabled   []string // controllers that we switched on for the children of parent(ours)
}

func (h *hierarchy) has(controller string) bool { return slices.Contains(h.in, controller) }

func (h *hierarchy) leaf() string { return filepath.Join(h.ours, leaf) }

// make creates our directory and the leaf in it.
func (h *hierarchy) make() error {
	for _, dir := range []string{h.ours, h.leaf()} {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("create cgroup: %w", err)
		}
	}
	return nil
}

// unmake removes what make created; directories in use stay.
func (h *hierarchy) unmake() error {
	err := remove(h.leaf())
	if h.delegated {
		return err
	}
	return errors.Join(err, remove(h.ours))
}

// move puts processes into a directory. Those that have ended meanwhile need no moving.
func move(dir string, processes ...int) error {
	for _, pid := range processes {
		if err := write(dir, "cgroup.procs", fmt.Sprint(pid)); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("move process %d: %w", pid, err)
		}
	}
	return nil
}

// empty moves every process of one directory into another, also those forked meanwhile.
func empty(from, to string) error {
	for range 100 {
		found, err := members(from)
		if err != nil || len(found) == 0 {
			return err
		}
		if err := move(to, found...); err != nil {
			return err
		}
	}
	return fmt.Errorf("move the processes of cgroup %s: new ones keep appearing", from)
}

// follow moves the members of one directory into another of a different hierarchy, also those forked meanwhile.
func follow(like, to string) error {
	for range 100 {
		found, err := members(like)
		if err != nil {
			return err
		}
		there, err := members(to)
		if err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(pid int) bool { return slices.Contains(there, pid) })
		if len(found) == 0 {
			return nil
		}
		if err := move(to, found...); err != nil {
			return err
		}
	}
	return fmt.Errorf("move the processes of cgroup %s: new ones keep appearing", like)
}
