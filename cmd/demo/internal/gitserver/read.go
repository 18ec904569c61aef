package gitserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Resolve gives the commit that rev names; "" is HEAD. Branches, tags, short hashes and git's operators (~ ^) work.
func (s *Store) Resolve(ctx context.Context, name, rev string) (string, error) {
	if err := errors.Join(checkName(name), checkRevision(rev)); err != nil {
		return "", err
	}
	if rev == "" {
		rev = "HEAD"
	}
	var out bytes.Buffer
	args := []string{"rev-parse", "--verify", "--quiet", "--end-of-options", rev + "^{commit}"}
	err := s.ask(ctx, name, command{args: args, stdout: &out})
	var failed *commandError
	switch {
	case err == nil:
		return strings.TrimSpace(out.String()), nil
	case errors.As(err, &failed) && !looksDamaged(err) && ctx.Err() == nil:
		return "", s.notFound(ctx, name, rev)
	default:
		return "", s.explain(ctx, "resolve "+rev+" of "+name, name, err)
	}
}

// notFound tells an empty repository from a revision that is not there.
func (s *Store) notFound(ctx context.Context, name, rev string) error {
	refs, err := s.branches(ctx, cloneDir(s.root, name))
	if err == nil && len(refs) == 0 {
		return &Error{Code: ErrRevisionNotFound, Text: fmt.Sprintf("resolve %q of %s: the repository is empty", rev, name)}
	}
	return &Error{Code: ErrRevisionNotFound, Text: fmt.Sprintf("resolve %q of %s: no such revision", rev, name), Remedy: "see the branches and tags of the repository"}
}

// Archive writes all files of a commit to w, as tar. Every file is as it was committed: attributes that would change or leave out files do not count.
func (s *Store) Archive(ctx context.Context, name, commit string, w io.Writer) error {
	if err := errors.Join(checkName(name), checkCommit(commit)); err != nil {
		return err
	}
	err := s.askLong(ctx, name, command{args: []string{"archive", "--format=tar", "--end-of-options", commit}, stdout: w})
	if err == nil {
		return nil
	}
	return s.explainCommit(ctx, "archive "+commit+" of "+name, name, commit, err)
}

// ReadDir lists a directory; "" is the root. Names come in git's order.
func (s *Store) ReadDir(ctx context.Context, name, commit, path string) ([]Entry, error) {
	if err := errors.Join(checkName(name), checkCommit(commit), checkPath(path)); err != nil {
		return nil, err
	}
	args := []string{"ls-tree", "-z", "-l", "--full-tree", "--end-of-options", commit}
	if path != "" {
		args = append(args, "--", path+"/")
	}
	entries, err := s.list(ctx, name, commit, args)
	if err == nil && len(entries) == 0 && path != "" {
		return nil, &Error{Code: ErrFileNotFound, Text: fmt.Sprintf("list %q at %s of %s: no such directory", path, commit, name)}
	}
	return plain(entries), err
}

// blob is a file of a commit, ready to be read.
type blob struct {
	hash string
	size int64
}

// stat finds a file. A directory and a submodule are no files.
func (s *Store) stat(ctx context.Context, name, commit, path string) (blob, error) {
	if err := errors.Join(checkName(name), checkCommit(commit), checkPath(path)); err != nil {
		return blob{}, err
	}
	missing := func(why string) error {
		return &Error{Code: ErrFileNotFound, Text: fmt.Sprintf("read %q at %s of %s: %s", path, commit, name, why)}
	}
	if path == "" {
		return blob{}, missing("is a directory")
	}
	entries, err := s.list(ctx, name, commit, []string{"ls-tree", "-z", "-l", "--full-tree", "--end-of-options", commit, "--", path})
	switch {
	case err != nil:
		return blob{}, err
	case len(entries) == 0:
		return blob{}, missing("no such file")
	case entries[0].Type == TypeTree:
		return blob{}, missing("is a directory")
	case entries[0].Type == TypeCommit:
		return blob{}, missing("is a submodule")
	}
	return blob{entries[0].hash, entries[0].Size}, nil
}

// copyBlob writes a file's content to w.
func (s *Store) copyBlob(ctx context.Context, name string, b blob, w io.Writer) error {
	err := s.askLong(ctx, name, command{args: []string{"cat-file", "blob", b.hash}, stdout: w})
	if err == nil {
		return nil
	}
	return s.explain(ctx, "read blob "+b.hash+" of "+name, name, err)
}

func (s *Store) list(ctx context.Context, name, commit string, args []string) ([]listed, error) {
	var out bytes.Buffer
	if err := s.ask(ctx, name, command{args: args, stdout: &out}); err != nil {
		return nil, s.explainCommit(ctx, "list "+commit+" of "+name, name, commit, err)
	}
	return parseTree(out.String())
}

func (s *Store) ask(ctx context.Context, name string, c command) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.Quick)
	defer cancel()
	return s.askLong(ctx, name, c)
}

// askLong runs git on the clone of name within the slots for readers.
func (s *Store) askLong(ctx context.Context, name string, c command) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.limits.Long, context.DeadlineExceeded)
	defer cancel()
	release, err := acquire(ctx, s.reads)
	if err != nil {
		return err
	}
	defer release()
	if !s.present(name) {
		return s.absent(name)
	}
	c.args = append([]string{"--git-dir=" + cloneDir(s.root, name)}, c.args...)
	return s.git.run(ctx, c)
}

// absent says why there is no clone.
func (s *Store) absent(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[name]
	if r != nil && r.flight != nil && r.flight.cloning {
		return &Error{Code: ErrCloneInProgress, Text: name + " is being cloned: " + r.flight.lastWords()}
	}
	if r != nil && r.lastError != "" {
		return &Error{Code: ErrNotCloned, Text: name + " is not cloned: " + r.lastError}
	}
	return &Error{Code: ErrNotCloned, Text: name + " is not cloned"}
}

// explain turns git's failure into an [*Error], and takes note when it smells of damage.
func (s *Store) explain(ctx context.Context, what, name string, err error) error {
	if !s.present(name) {
		return s.absent(name) // it was handed over under our hands
	}
	if ctx.Err() == nil && looksDamaged(err) {
		s.suspect(name, err)
		return &Error{Code: ErrCorrupt, Text: what + ": " + err.Error(), Remedy: "the repository is checked, and cloned again if need be, at its next update"}
	}
	return classify(what, err)
}

// explainCommit does so, and finds out whether the commit is there at all.
func (s *Store) explainCommit(ctx context.Context, what, name, commit string, err error) error {
	var failed *commandError
	if ctx.Err() != nil || !errors.As(err, &failed) {
		return s.explain(ctx, what, name, err)
	}
	if _, missing := s.Resolve(ctx, name, commit); errors.Is(missing, ErrRevisionNotFound) {
		return missing
	}
	return s.explain(ctx, what, name, err)
}
