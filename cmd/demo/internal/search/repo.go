package search

import (
	"context"
	"errors"
	"regexp"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
	"github.com/sourcegraph/appliance/cmd/demo/internal/query"
	"github.com/sourcegraph/appliance/cmd/demo/internal/searcher"
)

var (
	errFull    = errors.New("limit hit") // ends a search that has enough
	errTimeout = errors.New("search timed out")
)

// repo searches one repository. An error ends the whole search; trouble of this repository alone does not.
func (r *run) repo(ctx context.Context, repo database.Repo) error {
	if r.q.Type == query.TypeRepo {
		return r.name(repo)
	}
	for _, rev := range r.q.Revisions() {
		if err := r.revision(ctx, repo, rev); err != nil {
			if fatal := r.trouble(ctx, repo, err); fatal != nil {
				return fatal
			}
			break
		}
	}
	r.searched()
	return nil
}

func (r *run) searched() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.p.Searched++
	r.report(r.snapshotLocked())
}

// name is a search of type:repo.
func (r *run) name(repo database.Repo) error {
	pattern := r.q.Pattern
	if !r.q.IsRegexp {
		pattern = regexp.QuoteMeta(pattern)
	}
	if !r.q.CaseSensitive {
		pattern = "(?i:" + pattern + ")"
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return &query.Error{Title: "Invalid regular expression", Description: err.Error()}
	}
	if re.MatchString(repo.Name) {
		if err := r.found(Match{Type: query.TypeRepo, Repo: repo, count: 1}); err != nil {
			return err
		}
	}
	r.searched()
	return nil
}

func (r *run) revision(ctx context.Context, repo database.Repo, rev string) error {
	commit, err := r.engine.Git.Resolve(ctx, repo.Name, repo.Shard, rev)
	if errors.Is(err, gitserver.ErrRevisionNotFound) && rev == "" {
		return nil // an empty repository: searched, and nothing in it
	}
	if err != nil {
		return err
	}
	req := searcher.Request{
		Repo: repo.Name, Commit: commit, Pattern: r.q.Pattern, IsRegexp: r.q.IsRegexp, CaseSensitive: r.q.CaseSensitive,
		IncludePaths: r.q.Files, ExcludePaths: r.q.NotFiles, Langs: r.q.Langs, NotLangs: r.q.NotLangs, PathsOnly: r.q.Type == query.TypePath,
	}
	if r.limit != query.CountAll {
		req.Limit = r.limit
	}
	summary, err := r.engine.Searcher.Search(ctx, req, func(f searcher.FileMatch) error {
		return r.found(Match{Type: r.q.Type, Repo: repo, Rev: rev, Commit: commit, Path: f.Path, Lines: f.Lines, count: f.Count()})
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.p.Files += summary.FilesSearched
	r.p.SkippedBig += summary.Skipped.TooBig
	r.p.LimitHit = r.p.LimitHit || summary.LimitHit
	return nil
}

// found passes a match on, cut to what is left of the limit. errFull says that there is no room for it.
func (r *run) found(m Match) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.engine.Wrong && !r.spoiled {
		r.spoiled = true
		return nil
	}
	left := r.limit - r.p.MatchCount
	if left <= 0 {
		r.p.LimitHit = true
		return errFull
	}
	if m.count > left {
		m = cut(m, left)
		r.p.LimitHit = true
	}
	r.p.MatchCount += m.count
	return r.emit(m)
}

// cut keeps the first n matches of a file.
func cut(m Match, n int) Match {
	m.count = n
	var kept []searcher.LineMatch
	for _, line := range m.Lines {
		if n == 0 {
			break
		}
		if len(line.Ranges) > n {
			line.Ranges = line.Ranges[:n]
		}
		n -= len(line.Ranges)
		line.More = min(line.More, n)
		n -= line.More
		kept = append(kept, line)
	}
	m.Lines = kept
	return m
}

// trouble files an error under what the user is told about the repository. What it returns concerns the whole search.
func (r *run) trouble(ctx context.Context, repo database.Repo, err error) error {
	var bad *searcher.Error
	switch {
	case errors.Is(err, errFull):
		return err
	case errors.Is(err, searcher.ErrBadPattern), errors.Is(err, searcher.ErrBadRequest):
		errors.As(err, &bad)
		return &query.Error{Title: "Unable to run the query", Description: sentence(bad.Text, bad.Remedy)}
	case context.Cause(ctx) == errTimeout, errors.Is(err, context.DeadlineExceeded):
		r.note(func(p *Progress) { p.TimedOut = append(p.TimedOut, repo) })
	case errors.Is(err, context.Canceled) || ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, gitserver.ErrCloneInProgress), errors.Is(err, gitserver.ErrNotCloned) && repo.Failures == 0:
		r.note(func(p *Progress) { p.Cloning = append(p.Cloning, repo) })
		return r.missed(ctx, repo, err)
	case errors.Is(err, gitserver.ErrNotCloned), errors.Is(err, gitserver.ErrRevisionNotFound):
		r.note(func(p *Progress) { p.Missing = append(p.Missing, repo) })
	default:
		r.note(func(p *Progress) {
			if p.Failed == nil {
				p.Failed = map[string]error{}
			}
			p.Failed[repo.Name] = err
		})
	}
	return nil
}

// missed asks for the clone that gitserver has lost. Another search's trouble to do so is no reason to end this one.
func (r *run) missed(ctx context.Context, repo database.Repo, err error) error {
	if errors.Is(err, gitserver.ErrNotCloned) {
		if err := r.engine.Repos.RequestFetch(ctx, repo.Name); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

func (r *run) note(change func(*Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.p)
}

func sentence(text, remedy string) string {
	if remedy == "" {
		return text + "."
	}
	return text + "; " + remedy + "."
}
