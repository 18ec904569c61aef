package gitserver

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
)

// Status says what is known of a repository. One that was never heard of has the zero status.
func (s *Store) Status(ctx context.Context, name string) (RepoStatus, error) {
	if err := checkName(name); err != nil {
		return RepoStatus{}, err
	}
	dir := cloneDir(s.root, name)
	status := RepoStatus{Cloned: whole(dir)}
	if status.Cloned {
		st := readState(dir)
		status.LastFetched, status.LastChanged, status.Refs = st.LastFetched, st.LastChanged, st.Refs
		status.DiskBytes = diskBytes(ctx, dir)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.repos[name]; r != nil {
		status.LastError = r.lastError
		if r.flight != nil {
			status.Cloning, status.Progress = r.flight.cloning, r.flight.lastWords()
		}
	}
	return status, nil
}

// diskBytes adds up the files below dir. What vanishes meanwhile does not count.
func diskBytes(ctx context.Context, dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ctx.Err()
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return ctx.Err()
	})
	return sum
}

// Remove takes a clone away. An update under way is cancelled. To remove what is not there is no error.
func (s *Store) Remove(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	cause := &Error{Code: ErrStopped, Text: name + " was removed meanwhile"}
	err := s.alone(ctx, name, cause, func(context.Context) error { return s.remove(name) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.repos[name]; r != nil && r.flight == nil {
		delete(s.repos, name)
	}
	return err
}

// remove first takes the clone out of its place in one step, so that nobody meets half a clone.
func (s *Store) remove(name string) error {
	dir := cloneDir(s.root, name)
	tmp, err := s.tempDir("removed")
	if err != nil {
		return err
	}
	if err := os.Rename(dir, filepath.Join(tmp, "clone.git")); err != nil && !os.IsNotExist(err) {
		return classify("remove "+name, err)
	}
	for parent := filepath.Dir(dir); parent != s.root; parent = filepath.Dir(parent) {
		if os.Remove(parent) != nil { // not empty: another repository is below
			break
		}
	}
	return s.discard(tmp)
}
