package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// openUnified takes the cgroup2 tree. It gives a hierarchy and an error when only some controllers can be had.
func (f *finder) openUnified(m mount) (*hierarchy, error) {
	h, err := locate(m, f.Name)
	if err != nil {
		return nil, err
	}
	base := filepath.Dir(h.ours)
	if filepath.Base(h.origin) == leaf && isDelegated(filepath.Dir(h.origin), m) { // an earlier life of ours moved us there
		return h.takeDelegated(filepath.Dir(h.origin))
	}
	if isDelegated(base, m) {
		return h.takeDelegated(base)
	}
	if len(offered(m.dir)) == 0 { // bare: no controllers, no rules about where processes may be
		return bare(h)
	}
	return f.takeNearest(h, base)
}

func bare(h *hierarchy) (*hierarchy, error) {
	if err := h.make(); err != nil {
		return nil, explain(err)
	}
	return h, nil
}

// takeDelegated makes a whole subtree ours. Everything in its root moves to the leaf, a debug shell of the container included,
// because a cgroup whose children have controllers may hold no process itself: EBUSY otherwise (E61).
func (h *hierarchy) takeDelegated(base string) (*hierarchy, error) {
	h.ours, h.origin, h.delegated = base, base, true
	if err := h.make(); err != nil {
		return nil, explain(err)
	}
	if err := empty(base, h.leaf()); err != nil {
		return nil, errors.Join(err, h.unmake())
	}
	var err error
	h.in, err = enable(base)
	return h, err
}

// takeNearest makes <name> below our own cgroup, or below the nearest of its ancestors that holds no processes of others: a login
// session's cgroup holds its shell, and so cannot have children with controllers.
func (f *finder) takeNearest(h *hierarchy, base string) (*hierarchy, error) {
	var errs []error
	for at := base; strings.HasPrefix(at, h.mount); at = filepath.Dir(at) {
		h.ours = filepath.Join(at, f.Name)
		got, err := f.takeBelow(h, at)
		if got {
			return h, err
		}
		errs = append(errs, err)
		if at == h.mount {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (f *finder) takeBelow(h *hierarchy, at string) (bool, error) {
	if others, err := strangers(at, f.tree.family); err != nil || others > 0 {
		return false, errors.Join(err, fmt.Errorf("%s holds %d processes that are not ours", at, others))
	}
	if err := h.make(); err != nil {
		return false, explain(err)
	}
	before := enabled(at)
	if err := move(h.leaf(), f.tree.family...); err != nil {
		return false, errors.Join(explain(err), h.unmake())
	}
	_, err := enable(at)
	h.enabled = slices.DeleteFunc(enabled(at), func(c string) bool { return slices.Contains(before, c) || !slices.Contains(wanted[:], c) })
	var errOurs error
	h.in, errOurs = enable(h.ours)
	return true, errors.Join(err, errOurs)
}

// strangers counts the processes in the way of controllers. The root of the machine's tree may have both.
func strangers(dir string, family []int) (int, error) {
	if isRoot(dir) {
		return 0, nil
	}
	found, err := members(dir)
	n := 0
	for _, pid := range found {
		if !slices.Contains(family, pid) {
			n++
		}
	}
	return n, err
}

// enable switches on what we want for the children of a cgroup, one by one so that one refusal costs no other, and tells what is on.
func enable(dir string) ([]string, error) {
	var errs []error
	on, have := enabled(dir), offered(dir)
	for _, c := range wanted {
		if !slices.Contains(on, c) && slices.Contains(have, c) {
			errs = append(errs, explain(write(dir, "cgroup.subtree_control", "+"+c)))
		}
	}
	in := slices.DeleteFunc(enabled(dir), func(c string) bool { return !slices.Contains(wanted[:], c) })
	return in, errors.Join(errs...)
}

func offered(dir string) []string { return words(dir, "cgroup.controllers") }
func enabled(dir string) []string { return words(dir, "cgroup.subtree_control") }

func words(dir, file string) []string {
	text, err := read(dir, file)
	if err != nil {
		return nil
	}
	return strings.Fields(text)
}

// isDelegated says whether a whole cgroup was given to us: by systemd, which marks it, or because it is a container's: the root that
// our cgroup namespace shows, or the place of our pid namespace's process 1.
func isDelegated(dir string, m mount) bool {
	if isRoot(dir) {
		return false
	}
	if dir == m.dir && m.root == "/" {
		return true
	}
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		value := make([]byte, 2)
		if n, err := unix.Getxattr(dir, name, value); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	init, ok, err := find(1, m)
	return err == nil && ok && (init == dir || init == filepath.Join(dir, leaf))
}

// isRoot recognises the root of the machine's tree, which alone has no type.
func isRoot(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "cgroup.type"))
	return err != nil
}
