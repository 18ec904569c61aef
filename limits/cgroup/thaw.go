package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// thaw sets free the members of a group that somebody froze by v1's freezer: a killed task does not die in there (E4, measured).
// The freezer's cgroup that we are in ourselves cannot be frozen, and is passed over.
func thaw(dir string) error {
	left, err := members(dir)
	if err != nil || len(left) == 0 {
		return err
	}
	freezer, ok := freezerMount()
	if !ok {
		return nil
	}
	own, _, _ := find(os.Getpid(), freezer)
	var errs []error
	for _, at := range freezers(left, freezer) {
		if at == own {
			continue
		}
		if state, err := read(at, "freezer.state"); err == nil && state != "THAWED" {
			errs = append(errs, write(at, "freezer.state", "THAWED"))
		}
	}
	return errors.Join(errs...)
}

// freezers are the cgroups of some processes and those above them, which freeze what is below, outermost first.
func freezers(processes []int, m mount) []string {
	var dirs []string
	for _, pid := range processes {
		at, ok, err := find(pid, m)
		for err == nil && ok && at != m.dir && strings.HasPrefix(at, m.dir) && !slices.Contains(dirs, at) {
			dirs = append(dirs, at)
			at = filepath.Dir(at)
		}
	}
	slices.SortFunc(dirs, func(a, b string) int { return len(a) - len(b) })
	return dirs
}

func freezerMount() (mount, bool) {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return mount{}, false
	}
	for _, m := range mounts(string(mountinfo)) {
		if !m.unified && m.serves("freezer") {
			return m, true
		}
	}
	return mount{}, false
}
