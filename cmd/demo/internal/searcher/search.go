package searcher

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
)

const (
	batchBytes  = 1 << 20 // of files that one worker takes at a time
	batchFiles  = 512     // the same, in files
	keepScratch = 4 << 20 // bytes of a worker's buffers that outlive a big file
	tries       = 3       // of an archive that breaks off, and of one that keeps being damaged on disk
	namesMax    = 10      // paths in Skipped.Largest
)

// Searcher searches commits. All searches together read as many files at a time as there are CPUs.
type Searcher struct {
	cache *Cache
	slots chan *scratch
}

// scratch are the buffers of one worker.
type scratch struct{ content, folded []byte }

// NewSearcher searches in the archives of cache.
func NewSearcher(cache *Cache) *Searcher {
	s := &Searcher{cache: cache, slots: make(chan *scratch, runtime.GOMAXPROCS(0))}
	for range cap(s.slots) {
		s.slots <- &scratch{}
	}
	return s
}

// Search calls emit for each file with a match, in git's order of paths, and idle whenever nothing more is ready. See [Client.Search] for errors.
func (s *Searcher) Search(ctx context.Context, req Request, emit func(FileMatch) error, idle func()) (Summary, error) {
	q, err := newQuery(req)
	if err != nil {
		return Summary{}, err
	}
	o := &output{limit: req.Limit, emit: emit}
	for next, try := 0, 1; ; try++ {
		a, err := s.cache.open(ctx, req.Repo, req.Commit)
		if err != nil {
			return Summary{}, err
		}
		next, err = s.scan(ctx, a, q, next, o, idle)
		a.Close()
		switch {
		case err == nil || errors.Is(err, errFull):
			return o.summary, nil
		case !errors.Is(err, errDamaged) || try == tries:
			return Summary{}, fmt.Errorf("search %s@%s: %w", req.Repo, req.Commit, err)
		}
		s.cache.discard(fileName(req.Repo+"@"+req.Commit), err) // a commit's archive is always the same, so we go on at the same file
	}
}

// query is a request that was read.
type query struct {
	Request
	selection
	pattern *matcher
}

func newQuery(req Request) (*query, error) {
	if req.Repo == "" || strings.Trim(req.Commit, "0123456789abcdef") != "" || len(req.Commit) != 40 && len(req.Commit) != 64 {
		return nil, &Error{Code: ErrBadRequest, Text: fmt.Sprintf("search %q@%.80q: want a repository and the full hash of a commit", req.Repo, req.Commit)}
	}
	pattern, err := newMatcher(req.Pattern, req.IsRegexp, req.CaseSensitive)
	if err != nil {
		return nil, err
	}
	selected, err := newSelection(req)
	if err != nil {
		return nil, err
	}
	return &query{Request: req, selection: selected, pattern: pattern}, nil
}

// byPath says that no content is needed.
func (q *query) byPath() bool { return q.PathsOnly || q.pattern.all }

// errFull ends a search that has found enough.
var errFull = errors.New("limit reached")

// output counts and limits what goes out. One goroutine uses it.
type output struct {
	limit   int
	emit    func(FileMatch) error
	count   int
	summary Summary
}

func (o *output) match(m FileMatch) error {
	n := m.Count()
	if o.limit > 0 && o.count+n > o.limit {
		o.summary.LimitHit = true
		if room := o.limit - o.count; room > 0 {
			if err := o.emit(m.first(room)); err != nil {
				return err
			}
		}
		return errFull
	}
	o.count += n
	return o.emit(m)
}

// first keeps the first n matches of a file.
func (m FileMatch) first(n int) FileMatch {
	cut := FileMatch{Path: m.Path}
	for _, l := range m.Lines {
		if n == 0 {
			break
		}
		keep := min(n, len(l.Ranges))
		n -= keep
		more := min(n, l.More)
		n -= more
		l.Ranges, l.More = l.Ranges[:keep], more
		cut.Lines = append(cut.Lines, l)
	}
	return cut
}
