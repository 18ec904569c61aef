package gitserver

import (
	"context"
	"fmt"
)

// Update clones the repository, or fetches into the clone that is there, and returns when that is done. Updates of one repository from one place
// at the same time are one update; it goes on when the caller leaves, and ends with the store.
//
// A first clone is copied from holder, if that is another gitserver. A clone that turns out to be damaged is made again; the old one stays until then.
func (s *Store) Update(ctx context.Context, name, cloneURL, holder string) (UpdateResult, error) {
	if err := checkName(name); err != nil {
		return UpdateResult{}, err
	}
	rem, err := parseRemote(cloneURL)
	if err != nil {
		return UpdateResult{}, fmt.Errorf("update %s: %w", name, err)
	}
	for {
		f, mine, err := s.board(name, rem, func(ctx context.Context, f *flight) (UpdateResult, error) {
			return s.fly(ctx, name, holder, f)
		})
		if err != nil {
			return UpdateResult{}, err
		}
		if err := f.wait(ctx); err != nil {
			return UpdateResult{}, err
		}
		if mine || f.remote == rem {
			return f.result, f.err
		}
	}
}

func (s *Store) fly(ctx context.Context, name, holder string, f *flight) (UpdateResult, error) {
	f.say("waiting for a free slot")
	release, err := acquire(ctx, s.updates)
	if err != nil {
		return UpdateResult{}, classify("update "+name, err)
	}
	defer release()
	ctx, cancel := context.WithTimeout(ctx, s.limits.Long)
	defer cancel()
	s.remember(name, f.remote)
	if err := s.cloneOrFetch(ctx, name, holder, f); err != nil {
		err = classify("update "+name+" from "+redactURLs(f.remote.url), err)
		s.log.Warn("update", "repo", name, "error", err)
		return UpdateResult{}, err
	}
	return readState(cloneDir(s.root, name)).result(), nil
}

// remember keeps the remote in memory, for a repair without being asked. It is not written to disk: it may hold a password.
func (s *Store) remember(name string, rem remote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repoLocked(name).remote = rem
}

func (s *Store) cloneOrFetch(ctx context.Context, name, holder string, f *flight) error {
	dir := cloneDir(s.root, name)
	if !s.present(name) && !s.adopted(ctx, name, holder, f) {
		return s.clone(ctx, name, f)
	}
	if damaged := s.damaged(ctx, dir); damaged != nil {
		s.log.Warn("the clone is damaged, cloning again", "repo", name, "damage", damaged)
		return s.clone(ctx, name, f)
	}
	complaint, err := s.fetch(ctx, dir, f)
	if complaint == "" && !looksDamaged(err) || ctx.Err() != nil {
		return err
	}
	damaged := s.verify(ctx, dir)
	if damaged == nil {
		return err // whatever it is, it is not ours
	}
	s.log.Warn("the clone is damaged, cloning again", "repo", name, "damage", damaged)
	return s.clone(ctx, name, f)
}

// damaged looks at what costs nothing, and checks the whole clone only on suspicion.
func (s *Store) damaged(ctx context.Context, dir string) error {
	if !whole(dir) {
		return &Error{Code: ErrCorrupt, Text: dir + " lacks HEAD, config, objects or refs"}
	}
	if readState(dir).Suspect == "" {
		return nil
	}
	if err := s.verify(ctx, dir); err != nil || ctx.Err() != nil {
		return err
	}
	if err := s.editState(dir, func(st *state) { st.Suspect = "" }); err != nil {
		s.log.Warn("remember that a clone is sound", "clone", dir, "error", err) // it is checked once more
	}
	return nil
}

// suspect is told of a failure that may come from damage. The next update checks; it is started at once if we know from where.
func (s *Store) suspect(name string, cause error) {
	dir := cloneDir(s.root, name)
	known := false
	err := s.editState(dir, func(st *state) { known, st.Suspect = st.Suspect != "", cause.Error() })
	switch {
	case err != nil:
		s.log.Warn("remember that a clone may be damaged", "repo", name, "error", err)
	case known:
		return
	}
	s.log.Warn("the clone may be damaged", "repo", name, "error", cause)
	s.mu.Lock()
	rem := s.repoLocked(name).remote
	s.mu.Unlock()
	if rem == (remote{}) {
		return
	}
	_, _, err = s.board(name, rem, func(ctx context.Context, f *flight) (UpdateResult, error) { return s.fly(ctx, name, "", f) })
	if err != nil {
		s.log.Debug("no repair while stopping", "repo", name)
	}
}
