package gitserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// clone makes a clone from the code host, and puts it in place when it is whole.
func (s *Store) clone(ctx context.Context, name string, f *flight) error {
	old := readState(cloneDir(s.root, name))
	return s.cloneFrom(ctx, name, f.remote, f, state{Refs: old.Refs, LastChanged: old.LastChanged, LastFetched: time.Now().UTC()})
}

// cloneFrom does so from anywhere. st is how old the clone is when it is made, and what its refs were when they last changed.
func (s *Store) cloneFrom(ctx context.Context, name string, from remote, f *flight, st state) (err error) {
	tmp, err := s.tempDir("clone")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.discard(tmp)) }()
	fresh := filepath.Join(tmp, "clone.git")
	args := []string{"clone", "--bare", "--progress", "--template=", "--", from.url, fresh}
	if err := s.git.run(ctx, command{args: args, remote: from, watch: f.say, stall: s.limits.Stall}); err != nil {
		return err
	}
	if err := s.furnish(ctx, fresh, st); err != nil {
		return err
	}
	return s.install(fresh, cloneDir(s.root, name), tmp)
}

// furnish adds to a fresh clone what we want in every one.
func (s *Store) furnish(ctx context.Context, dir string, st state) error {
	info := filepath.Join(dir, "info")
	if err := os.MkdirAll(info, 0o700); err != nil {
		return fmt.Errorf("furnish the clone: %w", err)
	}
	if err := os.WriteFile(filepath.Join(info, "attributes"), []byte(attributes), 0o600); err != nil {
		return fmt.Errorf("furnish the clone: %w", err)
	}
	if err := s.chooseHead(ctx, dir, ""); err != nil {
		return err
	}
	if err := writeState(dir, st); err != nil {
		return err
	}
	return s.noteFetch(ctx, dir, st.LastFetched)
}

// install puts fresh at dir. What is there already is exchanged in one step, and ends up in tmp.
func (s *Store) install(fresh, dir, tmp string) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return fmt.Errorf("make the directory of the clone: %w", err)
	}
	err := unix.Renameat2(unix.AT_FDCWD, fresh, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	if errors.Is(err, syscall.ENOENT) { // nothing there yet
		err = os.Rename(fresh, dir)
	} else if err != nil { // a file system that cannot exchange
		err = errors.Join(os.Rename(dir, filepath.Join(tmp, "old")), os.Rename(fresh, dir))
	}
	if err != nil {
		return fmt.Errorf("put the clone in place: %w", err)
	}
	return syncDir(parent)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// discard removes a temporary directory.
func (s *Store) discard(tmp string) error {
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("remove the temporary %s: %w", tmp, err)
	}
	return nil
}

// noteFetch remembers when the clone was as the code host has it, and whether anything moved.
func (s *Store) noteFetch(ctx context.Context, dir string, at time.Time) error {
	refs, err := s.refsHash(ctx, dir)
	if err != nil {
		return err
	}
	return s.editState(dir, func(st *state) {
		st.LastFetched = at
		if st.Refs != refs {
			st.Refs, st.LastChanged = refs, at
		}
	})
}
