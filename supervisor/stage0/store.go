package stage0

import (
	"fmt"
	"sort"

	"golang.org/x/sys/unix"
)

// lockName is the stored descriptor that is the data directory's lock; stage 1 can neither replace nor drop it.
const lockName = "lock"

// Bounds of the store (E26): what a broken stage 1 may make us keep.
const (
	maxStoredNames = 4096
	spareFDs       = 64 // numbers that stay free for our own work
)

// store holds descriptors for stage 1 by name.
type store struct {
	files map[string][]int
	count int
	limit int // of descriptors
}

func newStore() *store {
	limit := 1024
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) == nil { // the Go runtime has raised it to the hard limit
		limit = int(min(r.Cur, 1<<16))
	}
	return &store{files: map[string][]int{}, limit: max(limit-spareFDs, 16)}
}

// put keeps fds under name instead of what it had; on an error they are closed.
func (s *store) put(name string, fds []int) error {
	kept := len(s.files[name])
	switch _, known := s.files[name]; {
	case name == "" || name == lockName || len(fds) == 0:
		closeAll(fds)
		return fmt.Errorf("store %q with %d descriptors: needs a name other than %q and at least one descriptor", name, len(fds), lockName)
	case s.count-kept+len(fds) > s.limit || !known && len(s.files) >= maxStoredNames:
		closeAll(fds)
		return fmt.Errorf("store %q: %d descriptors under %d names are held already, the limits are %d and %d",
			name, s.count, len(s.files), s.limit, maxStoredNames)
	}
	s.drop(name)
	s.files[name] = fds
	s.count += len(fds)
	return nil
}

// drop closes what name has.
func (s *store) drop(name string) {
	closeAll(s.files[name])
	s.count -= len(s.files[name])
	delete(s.files, name)
}

// names are sorted.
func (s *store) names() []string {
	names := make([]string, 0, len(s.files))
	for name := range s.files {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (s *store) close() {
	for name := range s.files {
		s.drop(name)
	}
}
