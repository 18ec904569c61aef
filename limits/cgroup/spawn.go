package cgroup

import (
	"errors"
	"math"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// SpawnFD is the group's directory in cgroup2, for CLONE_INTO_CGROUP (syscall.SysProcAttr.CgroupFD): the child is born inside.
// False if the group has none by design. If it cannot be opened, being gone (see [Group.Exists]) or for want of descriptors, the
// answer is a number that every fork refuses with EBADF, since a child must not be born outside instead. The descriptor is the group's.
func (g *Group) SpawnFD() (int, bool) {
	p, ok := g.unified()
	if !ok {
		return -1, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fd == 0 {
		fd, err := open(p.dir, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return neverOpen, true
		}
		g.fd = fd
	}
	return g.fd, true
}

// neverOpen is above every limit on descriptors: the kernel's own ceiling, sysctl fs.nr_open, is lower.
const neverOpen = math.MaxInt32

// TaskFiles are the v1 files that the forking thread writes "0" to before a fork, or a process for itself, in order to be in the
// group, and one for one those of the supervisor's leaf, for its way back. There are none for cgroup2, where a thread cannot leave its process.
func (g *Group) TaskFiles() (born, home []string) {
	for _, p := range g.at() {
		if !p.tree.unified {
			born = append(born, filepath.Join(p.dir, "tasks"))
			home = append(home, filepath.Join(p.tree.leaf(), "tasks"))
		}
	}
	return born, home
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
