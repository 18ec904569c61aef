package search

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
	"github.com/sourcegraph/appliance/cmd/demo/internal/query"
	"github.com/sourcegraph/appliance/cmd/demo/internal/searcher"
)

// world is all that an engine talks to. Names of repositories say how they behave.
type world struct {
	repos     []database.Repo
	requested atomic.Int32 // fetches
	searching atomic.Int32 // searches under way
	most      atomic.Int32 // of them at once
}

func (w *world) Repos(context.Context) ([]database.Repo, error) { return w.repos, nil }

func (w *world) RequestFetch(context.Context, string) error { w.requested.Add(1); return nil }

func (w *world) Resolve(_ context.Context, repo, _, rev string) (string, error) {
	switch {
	case repo == "cloning":
		return "", gitserver.ErrCloneInProgress
	case repo == "lost", repo == "broken":
		return "", gitserver.ErrNotCloned
	case repo == "empty", rev == "nowhere":
		return "", gitserver.ErrRevisionNotFound
	}
	return "c0ffee", nil
}

// Search finds 10 files with 2 matches each, in every repository.
func (w *world) Search(ctx context.Context, req searcher.Request, emit func(searcher.FileMatch) error) (searcher.Summary, error) {
	w.most.Store(max(w.most.Load(), w.searching.Add(1)))
	defer w.searching.Add(-1)
	switch req.Repo {
	case "stuck":
		<-ctx.Done()
		return searcher.Summary{}, fmt.Errorf("search: %w", ctx.Err())
	case "away":
		return searcher.Summary{}, errors.New("connection refused")
	}
	for i := range 10 {
		m := searcher.FileMatch{Path: fmt.Sprint(i), Lines: []searcher.LineMatch{{Line: "xx", Ranges: [][2]int{{0, 1}, {1, 1}}}}}
		if err := emit(m); err != nil {
			return searcher.Summary{}, err
		}
	}
	return searcher.Summary{FilesSearched: 10}, nil
}

func newWorld(names ...string) (*world, *Engine) {
	w := &world{}
	for i, n := range names {
		r := database.Repo{ID: int64(i), Name: n}
		if n == "broken" {
			r.Failures = 3
		}
		w.repos = append(w.repos, r)
	}
	return w, &Engine{Repos: w, Git: w, Searcher: w}
}

func do(t *testing.T, e *Engine, text string) (Progress, int, error) {
	q, err := query.Parse(text, false)
	require.NoError(t, err)
	count := 0
	p, err := e.Search(t.Context(), q, func(m Match) error { count += m.Count(); return nil }, func(Progress) {})
	require.Equal(t, p.MatchCount, count, "what is counted is what was sent")
	return p, count, err
}

func TestLimitIsExact(t *testing.T) {
	_, e := newWorld("a", "b", "c")
	for text, want := range map[string]struct {
		count int
		hit   bool
	}{"x count:all": {60, false}, "x count:60": {60, false}, "x count:59": {59, true}, "x count:1": {1, true}, "x": {60, false}} {
		t.Run(text, func(t *testing.T) {
			p, n, err := do(t, e, text)
			require.NoError(t, err)
			require.Equal(t, want.count, n)
			require.Equal(t, want.hit, p.LimitHit)
		})
	}
}

func TestTroubleStaysWithItsRepository(t *testing.T) {
	w, e := newWorld("good", "cloning", "lost", "broken", "empty", "away")
	p, n, err := do(t, e, "x")
	require.NoError(t, err)
	require.Equal(t, 20, n)
	require.Equal(t, 6, p.Searched)
	require.Equal(t, []string{"cloning", "lost"}, sorted(p.Cloning))
	require.Equal(t, []string{"broken"}, sorted(p.Missing))
	require.ErrorContains(t, p.Failed["away"], "refused")
	require.EqualValues(t, 1, w.requested.Load(), "a lost clone is asked for again")
}

func sorted(repos []database.Repo) []string {
	byID := map[int64]string{}
	for _, r := range repos {
		byID[r.ID] = r.Name
	}
	var names []string
	for id := range int64(100) {
		if n, ok := byID[id]; ok {
			names = append(names, n)
		}
	}
	return names
}

func TestMissingRevision(t *testing.T) {
	_, e := newWorld("good")
	p, _, err := do(t, e, "x rev:nowhere")
	require.NoError(t, err)
	require.Len(t, p.Missing, 1)
}

func TestTimeoutKeepsWhatWasFound(t *testing.T) {
	_, e := newWorld("good", "stuck")
	p, n, err := do(t, e, "x timeout:200ms")
	require.NoError(t, err)
	require.Equal(t, 20, n)
	require.Equal(t, []string{"stuck"}, sorted(p.TimedOut))
}

func TestAClientThatGoesEndsEverything(t *testing.T) {
	w, e := newWorld("stuck", "good")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := e.Search(ctx, query.Query{Pattern: "x", Type: query.TypeFile, Timeout: time.Hour}, func(Match) error { cancel(); return nil }, func(Progress) {})
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, w.searching.Load())
}

func TestManyRepositoriesAFewAtATime(t *testing.T) {
	var names []string
	for i := range 200 {
		names = append(names, fmt.Sprint("r", i))
	}
	w, e := newWorld(names...)
	_, n, err := do(t, e, "x count:all")
	require.NoError(t, err)
	require.Equal(t, 4000, n)
	require.LessOrEqual(t, w.most.Load(), int32(parallel))
}

func TestWrongLeavesOneFileOut(t *testing.T) {
	_, e := newWorld("a")
	e.Wrong = true
	_, n, err := do(t, e, "x")
	require.NoError(t, err)
	require.Equal(t, 18, n)
}

func TestNames(t *testing.T) {
	_, e := newWorld("a/one", "a/two", "b/one")
	for text, want := range map[string]int{"type:repo ONE": 2, "type:repo case:yes ONE": 0, "repo:^A/ -repo:two$": 1, "type:repo patternType:regexp ^.*/t": 1} {
		_, n, err := do(t, e, text)
		require.NoError(t, err, text)
		require.Equal(t, want, n, text)
	}
	_, _, err := do(t, e, "repo:zzz x")
	require.ErrorContains(t, err, "No repositories found")
}
