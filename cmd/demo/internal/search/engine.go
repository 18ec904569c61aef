package search

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/query"
	"github.com/sourcegraph/appliance/cmd/demo/internal/searcher"
)

const (
	parallel       = 8 // repositories under way at once
	defaultLimit   = 500
	defaultTimeout = 20 * time.Second
)

// Git is the part of gitserver's client that a search needs.
type Git interface {
	Resolve(ctx context.Context, repo, holder, rev string) (commit string, err error)
}

// Searcher is searcher's client.
type Searcher interface {
	Search(ctx context.Context, req searcher.Request, emit func(searcher.FileMatch) error) (searcher.Summary, error)
}

// Repos is where the repositories are listed.
type Repos interface {
	Repos(ctx context.Context) ([]database.Repo, error)
	RequestFetch(ctx context.Context, name string) error
}

// Engine runs searches. All fields but Wrong are needed.
type Engine struct {
	Repos    Repos
	Git      Git
	Searcher Searcher
	Wrong    bool // leave the first match out, for DEMO_WRONG
}

// Match is one result: a file with what matched in it, a file's path, or a repository.
type Match struct {
	Type   query.Type
	Repo   database.Repo
	Rev    string // as asked for; empty for the default branch
	Commit string // empty for a repository
	Path   string // bytes as git has them
	Lines  []searcher.LineMatch
	count  int
}

// Count is how many matches of the limit it takes.
func (m Match) Count() int { return m.count }

// Progress says how far a search is, or how it ended.
type Progress struct {
	MatchCount   int
	LimitHit     bool
	Elapsed      time.Duration
	Repositories int // to search
	Searched     int
	Files        int // looked at
	Cloning      []database.Repo
	Missing      []database.Repo // neither cloned nor being cloned, or without the revision asked for
	TimedOut     []database.Repo
	Failed       map[string]error // other trouble, by repository
	SkippedBig   int              // files
}

// Search calls emit for every match, one at a time, and progress after every repository. The error is a [*query.Error], ctx's, emit's, or the database's;
// trouble with single repositories is in the result.
func (e *Engine) Search(ctx context.Context, q query.Query, emit func(Match) error, progress func(Progress)) (Progress, error) {
	r := &run{engine: e, q: q, emit: emit, report: progress, began: time.Now(), limit: q.Count}
	if r.limit == 0 {
		r.limit = defaultLimit
	}
	repos, err := e.pick(ctx, q)
	if err != nil {
		return r.done(), err
	}
	r.p.Repositories = len(repos)
	return r.search(ctx, repos)
}

// run is one search under way.
type run struct {
	engine *Engine
	q      query.Query
	report func(Progress)
	began  time.Time
	limit  int

	mu      sync.Mutex // guards what follows and emit
	emit    func(Match) error
	p       Progress
	spoiled bool // the match that Wrong leaves out was left out
}

func (r *run) search(ctx context.Context, repos []database.Repo) (Progress, error) {
	timeout := r.q.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, errTimeout)
	defer cancel()
	g, limited := errgroup.WithContext(limited)
	g.SetLimit(parallel)
	for _, repo := range repos {
		if r.full() {
			break
		}
		g.Go(func() error { return r.repo(limited, repo) })
	}
	err := g.Wait()
	if ctx.Err() != nil {
		return r.done(), ctx.Err()
	}
	if err == errFull {
		err = nil
	}
	return r.done(), err
}

func (r *run) done() Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.snapshotLocked()
}

func (r *run) snapshotLocked() Progress {
	p := r.p
	p.Elapsed = time.Since(r.began)
	return p
}

func (r *run) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.p.LimitHit
}
