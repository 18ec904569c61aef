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

// clone makes a clone beside and puts it in place when it is whole.
func (s *Store) clone(ctx context.Context, name string, f *flight) (err error) {
	tmp, err := s.tempDir("clone")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.discard(tmp)) }()
	fresh := filepath.Join(tmp, "clone.git")
	args := []string{"clone", "--bare", "--progress", "--template=", "--", f.remote.url, fresh}
	if err := s.git.run(ctx, command{args: args, remote: f.remote, watch: f.say, stall: s.limits.Stall}); err != nil {
		return err
	}
	if err := s.furnish(ctx, fresh, readState(cloneDir(s.root, name))); err != nil {
		return err
	}
	return s.install(fresh, cloneDir(s.root, name), tmp)
}

// furnish adds to a fresh clone what we want in every one. old is the state of the clone that it replaces.
func (s *Store) furnish(ctx context.Context, dir string, old state) error {
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
	if err := writeState(dir, state{Refs: old.Refs, LastChanged: old.LastChanged}); err != nil {
		return err
	}
	return s.noteFetch(ctx, dir)
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

// noteFetch remembers that the clone is fresh as of now, and whether anything moved.
func (s *Store) noteFetch(ctx context.Context, dir string) error {
	refs, err := s.refsHash(ctx, dir)
	if err != nil {
		return err
	}
	return s.editState(dir, func(st *state) {
		st.LastFetched = time.Now().UTC()
		if st.Refs != refs {
			st.Refs, st.LastChanged = refs, st.LastFetched
		}
	})
}
