package cgroup

import (
	"errors"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// SpawnFD is the group's directory in cgroup2, for CLONE_INTO_CGROUP (syscall.SysProcAttr.CgroupFD): the child is born inside.
// False if there is no cgroup2 or the kernel denies such forks (E29); then use [Group.TaskFiles]. The descriptor is the group's.
func (g *Group) SpawnFD() (int, bool) {
	p, ok := g.unified()
	if !ok || !g.tree.atBirth {
		return -1, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fd == 0 {
		fd, err := open(p.dir, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return -1, false
		}
		g.fd = fd
	}
	return g.fd, true
}

// TaskFiles are the files that a process, or before a fork the forking thread, writes "0" to in order to be in the group: the tasks
// of v1, and cgroup.procs of cgroup2 where SpawnFD does not serve. The latter moves the whole process, so only a helper that
// executes the service next may write it: see [Group.NeedsHelper].
func (g *Group) TaskFiles() []string {
	var files []string
	for _, p := range g.at() {
		if !p.tree.unified || !g.tree.atBirth {
			files = append(files, filepath.Join(p.dir, p.tree.threads()))
		}
	}
	return files
}

// NeedsHelper says that a thread cannot be put into the group on its own, and SpawnFD does not serve either.
func (g *Group) NeedsHelper() bool {
	_, ok := g.unified()
	return ok && !g.tree.atBirth
}

// Join moves the calling thread into the group's v1 directories, so that its next child is born there (25 µs each: measured). The
// thread must be locked, and has to [Group.Leave] after the fork, also when Join returned an error: else the group never gets empty.
func (g *Group) Join() error {
	var errs []error
	for _, p := range g.at() {
		if !p.tree.unified {
			errs = append(errs, write(p.dir, "tasks", "0"))
		}
	}
	return errors.Join(errs...)
}

// Leave moves the calling thread into the supervisor's leaf.
func (g *Group) Leave() error {
	var errs []error
	for _, p := range g.at() {
		if !p.tree.unified {
			errs = append(errs, write(p.tree.leaf(), "tasks", "0"))
		}
	}
	return errors.Join(errs...)
}
