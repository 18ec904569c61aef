package gitserver

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// packsMax is how many packs a clone may have before they are put together: each one costs a look-up for every object.
const packsMax = 30

// Janitor looks after all clones every so often until ctx ends: it removes what killed gits left, finds clones that lost a part, and repacks.
func (s *Store) Janitor(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			s.sweep(ctx)
		}
	}
}

// sweep looks after every clone once.
func (s *Store) sweep(ctx context.Context) {
	for _, name := range s.names() {
		if ctx.Err() != nil {
			return
		}
		if !whole(cloneDir(s.root, name)) {
			s.suspect(name, &Error{Code: ErrCorrupt, Text: name + " lacks HEAD, config, objects or refs"})
			continue
		}
		if s.handedOver(ctx, name) {
			continue
		}
		err := s.alone(ctx, name, nil, func(ctx context.Context) error { return s.tidy(ctx, name) })
		if err != nil && ctx.Err() == nil {
			s.log.Warn("look after a clone", "repo", name, "error", err)
		}
	}
}

// names are the repositories that have a clone, or what is left of one.
func (s *Store) names() []string {
	var all []string
	_ = filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil // a removed one; the next sweep sees the rest
		}
		switch {
		case path == filepath.Join(s.root, tmpName) || path == filepath.Join(s.root, ownName):
			return fs.SkipDir
		case d.Name() == ".git":
			name, err := filepath.Rel(s.root, filepath.Dir(path))
			if err == nil && checkName(name) == nil {
				all = append(all, name)
			}
			return fs.SkipDir
		}
		return nil
	})
	return all
}

func (s *Store) tidy(ctx context.Context, name string) error {
	dir := cloneDir(s.root, name)
	s.cleanLocks(dir)
	s.cleanDebris(dir)
	packs, err := filepath.Glob(filepath.Join(escapeGlob(dir), "objects", "pack", "*.pack"))
	if err != nil || len(packs) <= packsMax {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.Long)
	defer cancel()
	err = s.git.run(ctx, command{args: []string{"--git-dir=" + dir, "repack", "-d", "-l", "-A", "--quiet"}, nice: 10})
	if ctx.Err() == nil && looksDamaged(err) {
		return s.editState(dir, func(st *state) { st.Suspect = err.Error() }) // we are the flight; the next one checks
	}
	return err
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// cleanLocks removes lock files of a git that was killed. The caller is the only one that writes to the clone; the age spares the last
// seconds of a git that outlived a killed gitserver.
func (s *Store) cleanLocks(dir string) {
	s.removeOld(dir, s.limits.Lock, func(name string) bool { return strings.HasSuffix(name, ".lock") })
}

// cleanDebris removes half written packs and objects.
func (s *Store) cleanDebris(dir string) {
	s.removeOld(filepath.Join(dir, "objects"), s.limits.Debris, func(name string) bool { return strings.HasPrefix(name, "tmp_") })
}

func (s *Store) removeOld(dir string, age time.Duration, is func(name string) bool) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !is(d.Name()) {
			return nil
		}
		info, err := d.Info()
		if err != nil || time.Since(info.ModTime()) < age {
			return nil
		}
		if err := os.RemoveAll(path); err == nil {
			s.log.Warn("removed what a killed git left", "path", path)
		}
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
}
