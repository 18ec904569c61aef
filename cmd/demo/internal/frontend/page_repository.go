package frontend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
)

// viewMax is how much of a file the page shows; the rest is a download away.
const viewMax = 1 << 20

// location is what the path of a repository's page says: /NAME@REV/-/blob/PATH.
type location struct {
	repo, rev string
	kind      string // blob, tree or raw
	path      string
}

// parseLocation reads an escaped path, because names may hold an @ or a % of their own.
func parseLocation(escaped string) (location, error) {
	l := location{kind: "tree"}
	head, tail, hasTail := strings.Cut(strings.TrimPrefix(escaped, "/"), "/-/")
	name, rev, _ := strings.Cut(head, "@")
	var err error
	if hasTail {
		kind, file, _ := strings.Cut(tail, "/")
		l.kind = kind
		l.path, err = url.PathUnescape(strings.Trim(file, "/"))
	}
	var nameErr, revErr error
	l.repo, nameErr = url.PathUnescape(strings.TrimSuffix(name, "/"))
	l.rev, revErr = url.PathUnescape(rev)
	return l, errors.Join(err, nameErr, revErr)
}

func rawURL(name, rev, file string) string { return repoURL(name, rev) + "/-/raw/" + escape(file) }

// repositoryView is what tree and blob pages are made of.
type repositoryView struct {
	Repo    database.Repo
	Rev     string
	Commit  string
	Path    string
	Crumbs  []crumb
	Entries []gitserver.Entry
	Size    int64
	Lines   []string
	Why     string // there are no lines
}

// crumb is one directory of the way to a file.
type crumb struct{ Name, Path string }

func crumbs(file string) []crumb {
	var all []crumb
	for i, name := range strings.Split(file, "/") {
		if name != "" {
			all = append(all, crumb{name, strings.Join(strings.Split(file, "/")[:i+1], "/")})
		}
	}
	return all
}

// repositoryPage shows /NAME, /NAME@REV, /NAME/-/tree/DIR, /NAME/-/blob/FILE and /NAME/-/raw/FILE.
func (s *server) repositoryPage(w http.ResponseWriter, r *http.Request) {
	l, err := parseLocation(r.URL.EscapedPath())
	if err != nil {
		s.notFound(w, r, "There is no such page.")
		return
	}
	repo, err := s.db.Repo(r.Context(), l.repo)
	if errors.Is(err, database.ErrNotFound) {
		s.notFound(w, r, fmt.Sprintf("There is no page and no repository %q here.", text(l.repo)))
		return
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v := repositoryView{Repo: repo, Rev: l.rev, Path: l.path, Crumbs: crumbs(l.path)}
	if v.Commit, err = s.git.Resolve(r.Context(), repo.Name, repo.Shard, l.rev); err != nil {
		s.gitTrouble(w, r, v, err)
		return
	}
	show := map[string]func(http.ResponseWriter, *http.Request, repositoryView) error{"tree": s.tree, "blob": s.blob, "raw": s.raw}[l.kind]
	if show == nil {
		s.notFound(w, r, "There is no such page.")
		return
	}
	if err := show(w, r, v); err != nil {
		s.gitTrouble(w, r, v, err)
	}
}

// gitTrouble says what is wrong with a repository in words.
func (s *server) gitTrouble(w http.ResponseWriter, r *http.Request, v repositoryView, err error) {
	title, m, status := v.Repo.Name, message{}, http.StatusNotFound
	switch {
	case errors.Is(err, gitserver.ErrNotCloned) && v.Repo.LastError != nil:
		m.Text = "This repository is not cloned: " + *v.Repo.LastError
	case errors.Is(err, gitserver.ErrNotCloned), errors.Is(err, gitserver.ErrCloneInProgress):
		m, status = message{"This repository is being cloned. The page opens by itself when it is there.", true}, http.StatusServiceUnavailable
		if errors.Is(err, gitserver.ErrNotCloned) {
			if err := s.db.RequestFetch(r.Context(), v.Repo.Name); err != nil {
				s.log.Warn("ask for a clone", "repo", v.Repo.Name, "error", err)
			}
		}
	case errors.Is(err, gitserver.ErrRevisionNotFound) && v.Rev == "":
		m.Text = "This repository is empty: it has no commit yet."
	case errors.Is(err, gitserver.ErrRevisionNotFound), errors.Is(err, gitserver.ErrInvalid):
		m.Text = fmt.Sprintf("There is no branch, tag or commit %q in this repository.", text(v.Rev))
	case errors.Is(err, gitserver.ErrFileNotFound):
		m.Text = fmt.Sprintf("There is no file or directory %q at this revision.", text(v.Path))
	default:
		s.fail(w, r, err)
		return
	}
	s.render(w, r, status, "message", view{Title: title, Query: repoFilter(v), Data: m})
}

// repoFilter is what the search box holds on a repository's page: a search goes on in this repository unless told otherwise.
func repoFilter(v repositoryView) string {
	filter := "repo:^" + regexp.QuoteMeta(v.Repo.Name) + "$"
	if v.Rev != "" {
		filter += "@" + text(v.Rev)
	}
	return filter + " "
}

func (s *server) tree(w http.ResponseWriter, r *http.Request, v repositoryView) error {
	entries, err := s.git.ReadDir(r.Context(), v.Repo.Name, v.Commit, v.Path)
	if errors.Is(err, gitserver.ErrFileNotFound) && v.Path != "" && s.isFile(r.Context(), v) {
		http.Redirect(w, r, blobURL(v.Repo.Name, v.Rev, v.Path), http.StatusSeeOther)
		return nil
	}
	if err != nil {
		return err
	}
	v.Entries = entries
	s.render(w, r, http.StatusOK, "tree", view{Title: pageTitle(v), Query: repoFilter(v), Data: v})
	return nil
}

func (s *server) isFile(ctx context.Context, v repositoryView) bool {
	body, _, err := s.git.ReadFile(ctx, v.Repo.Name, v.Commit, v.Path)
	if err != nil {
		return false
	}
	body.Close()
	return true
}

func (s *server) blob(w http.ResponseWriter, r *http.Request, v repositoryView) error {
	body, size, err := s.git.ReadFile(r.Context(), v.Repo.Name, v.Commit, v.Path)
	if err != nil {
		return err
	}
	defer body.Close()
	v.Size = size
	content, err := io.ReadAll(io.LimitReader(body, viewMax+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", v.Path, err)
	}
	switch {
	case isBinary(content):
		v.Why = "This is no text."
	case len(content) > viewMax:
		v.Why = "This file is too large to show."
	case len(content) == 0:
		v.Why = "This file is empty."
	default:
		v.Lines = lines(content)
	}
	s.render(w, r, http.StatusOK, "blob", view{Title: pageTitle(v), Query: repoFilter(v), Data: v})
	return nil
}

func lines(content []byte) []string {
	all := strings.Split(text(string(bytes.TrimSuffix(content, []byte("\n")))), "\n")
	for i, l := range all {
		all[i] = strings.TrimSuffix(l, "\r")
	}
	return all
}

// raw sends a file as it is, in a way that no browser takes for a page of ours.
func (s *server) raw(w http.ResponseWriter, r *http.Request, v repositoryView) error {
	body, size, err := s.git.ReadFile(r.Context(), v.Repo.Name, v.Commit, v.Path)
	if err != nil {
		return err
	}
	defer body.Close()
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(path.Base(v.Path)))
	h.Set("Content-Length", fmt.Sprint(size))
	io.Copy(w, body) // a client that is gone needs no answer; one that got less than the length knows
	return nil
}

func pageTitle(v repositoryView) string {
	if v.Path == "" {
		return v.Repo.Name
	}
	return text(path.Base(v.Path)) + " · " + v.Repo.Name
}
