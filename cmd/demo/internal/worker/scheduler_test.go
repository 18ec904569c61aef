package worker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/cmd/demo/internal/backing"
	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/extsvc"
	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
	"github.com/sourcegraph/appliance/cmd/demo/internal/migrator"
)

// fakeGit clones everything but "bad", and holds on to "slow" until its context ends.
type fakeGit struct {
	mu      sync.Mutex
	updates map[string]int
	holders map[string]string // the last one given
	removed chan string
	slow    chan struct{} // gets one when slow begins
}

func newFakeGit() *fakeGit {
	return &fakeGit{updates: map[string]int{}, holders: map[string]string{}, removed: make(chan string, 10), slow: make(chan struct{}, 10)}
}

func (g *fakeGit) Update(ctx context.Context, repo, _, holder string) (gitserver.UpdateResult, error) {
	g.mu.Lock()
	g.updates[repo]++
	g.holders[repo] = holder
	g.mu.Unlock()
	switch repo {
	case "h/bad":
		return gitserver.UpdateResult{}, &gitserver.Error{Code: gitserver.ErrRemoteNotFound, Text: "no such repository", Remedy: "check the URL"}
	case "h/slow":
		g.slow <- struct{}{}
		<-ctx.Done()
		return gitserver.UpdateResult{}, ctx.Err()
	}
	return gitserver.UpdateResult{LastFetched: time.Now(), LastChanged: time.Now(), Shard: "b:1"}, nil
}

func (g *fakeGit) count(repo string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.updates[repo]
}

func (g *fakeGit) Status(_ context.Context, repo string) (gitserver.RepoStatus, error) {
	return gitserver.RepoStatus{Cloned: repo == "h/good", DiskBytes: 7}, nil
}

func (g *fakeGit) Remove(_ context.Context, repo string) error {
	g.removed <- repo
	return nil
}

func newDB(t *testing.T) *database.DB {
	dsn := backing.StartPostgres(t).NewDatabase(t, "sg")
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer conn.Close(t.Context())
	migrations, err := migrator.Embedded()
	require.NoError(t, err)
	require.NoError(t, migrator.Up(t.Context(), conn, migrations, new(bytes.Buffer)))
	db, err := database.Open(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// begin runs a scheduler; what it returns stops it and waits.
func begin(t *testing.T, db *database.DB, git Git, interval time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		s := &Scheduler{DB: db, Git: git, Interval: interval, Log: slog.New(slog.DiscardHandler)}
		ended <- s.Run(ctx)
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-ended)
		})
	}
	t.Cleanup(stop)
	return stop
}

func add(t *testing.T, db *database.DB, names ...string) database.ExternalService {
	var repos []extsvc.Repo
	config := `{"url": "https://h", "repos": [`
	for i, n := range names {
		if i > 0 {
			config += ","
		}
		config += `"` + n + `"`
		repos = append(repos, extsvc.Repo{Name: "h/" + n, CloneURL: "https://h/" + n})
	}
	e, err := db.AddExternalService(t.Context(), "test", config+"]}", repos)
	require.NoError(t, err)
	return e
}

func repo(t *testing.T, db *database.DB, name string) database.Repo {
	r, err := db.Repo(t.Context(), name)
	require.NoError(t, err)
	return r
}

func soon(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, 30*time.Second, 20*time.Millisecond)
}

func TestScheduler(t *testing.T) {
	db := newDB(t)
	git := newFakeGit()
	stop := begin(t, db, git, time.Hour)

	e := add(t, db, "good", "bad")
	soon(t, func() bool { return repo(t, db, "h/good").Cloned })
	good := repo(t, db, "h/good")
	require.False(t, good.Cloning)
	require.EqualValues(t, 7, good.DiskBytes)
	require.Greater(t, time.Until(good.NextFetchAt), 50*time.Minute)

	soon(t, func() bool { return repo(t, db, "h/bad").LastError != nil })
	bad := repo(t, db, "h/bad")
	require.False(t, bad.Cloned)
	require.Equal(t, "no such repository; check the URL", *bad.LastError)
	require.Greater(t, time.Until(bad.NextFetchAt), time.Second, "it backs off")

	require.NoError(t, db.RequestFetch(t.Context(), "h/good"))
	soon(t, func() bool { return git.count("h/good") == 2 })

	require.NoError(t, db.DeleteExternalService(t.Context(), e.ID))
	require.ElementsMatch(t, []string{"h/good", "h/bad"}, []string{<-git.removed, <-git.removed})
	soon(t, func() bool { left, err := db.Deleted(t.Context()); return err == nil && len(left) == 0 })

	add(t, db, "slow")
	<-git.slow
	require.True(t, repo(t, db, "h/slow").Cloning)
	two := begin(t, db, git, time.Hour) // a second worker resets what it does not know, and no more than once
	two()
	stop()
	slow := repo(t, db, "h/slow")
	require.False(t, slow.Cloning, "a stop gives it back")
	require.Nil(t, slow.LastError)
	require.LessOrEqual(t, time.Until(slow.NextFetchAt), time.Duration(0))
}

// TestRepositoriesMove: when the gitservers are others than before, what belongs elsewhere now is due at once, and cloned only while somebody has it.
func TestRepositoriesMove(t *testing.T) {
	db := newDB(t)
	add(t, db, "stays", "moves", "new")
	owners := map[string]string{"h/stays": "a:1", "h/moves": "b:1", "h/new": "b:1"}
	owner := func(name string) string { return owners[name] }
	for _, name := range []string{"h/stays", "h/moves"} {
		require.NoError(t, db.Fetched(t.Context(), repo(t, db, name).ID, "a:1", time.Now(), time.Now(), 1, time.Hour))
	}
	later := func(name string) bool { return time.Until(repo(t, db, name).NextFetchAt) > time.Minute }

	moving, lost, err := db.Move(t.Context(), []string{"a:1", "b:1"}, owner)
	require.NoError(t, err)
	require.Equal(t, []int{1, 0}, []int{moving, lost})
	require.True(t, later("h/stays"))
	require.False(t, later("h/moves"))
	require.True(t, repo(t, db, "h/moves").Cloned, "the old gitserver has it")

	owners["h/stays"] = "b:1"
	moving, lost, err = db.Move(t.Context(), []string{"b:1"}, owner)
	require.NoError(t, err)
	require.Equal(t, []int{2, 2}, []int{moving, lost})
	require.False(t, later("h/stays"))
	require.False(t, repo(t, db, "h/stays").Cloned, "nobody has it")

	git := newFakeGit()
	stop := begin(t, db, git, time.Hour)
	defer stop()
	soon(t, func() bool { return repo(t, db, "h/stays").Shard == "b:1" && repo(t, db, "h/new").Shard == "b:1" })
	require.True(t, repo(t, db, "h/stays").Cloned)
	git.mu.Lock()
	defer git.mu.Unlock()
	require.Equal(t, "a:1", git.holders["h/stays"], "the new one is told who has it")
	require.Empty(t, git.holders["h/new"])
}

func TestTwoWorkersShareTheWork(t *testing.T) {
	db := newDB(t)
	add(t, db, "a", "b", "c", "d", "e", "f")
	var all []int64
	for range 3 {
		claimed, err := db.ClaimDue(t.Context(), 2, time.Minute)
		require.NoError(t, err)
		for _, r := range claimed {
			all = append(all, r.ID)
			require.True(t, r.Cloning)
		}
	}
	require.Len(t, all, 6)
	require.ElementsMatch(t, []int64{1, 2, 3, 4, 5, 6}, all)
	none, err := db.ClaimDue(t.Context(), 2, time.Minute)
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestASyncFollowsTheConfiguration(t *testing.T) {
	db := newDB(t)
	e := add(t, db, "a", "b")
	other := add(t, db, "b", "c") // b stays with the first
	require.EqualValues(t, 1, other.RepoCount)
	require.NoError(t, db.SyncExternalService(t.Context(), e.ID, func(string) ([]extsvc.Repo, error) {
		return []extsvc.Repo{{Name: "h/a", CloneURL: "https://h/moved"}}, nil
	}))
	require.Equal(t, "https://h/moved", repo(t, db, "h/a").CloneURL)
	_, err := db.Repo(t.Context(), "h/b")
	require.ErrorIs(t, err, database.ErrNotFound)
	require.NoError(t, db.SyncExternalService(t.Context(), other.ID, extsvc.Parse))
	require.Equal(t, other.ID, *repo(t, db, "h/b").ExternalServiceID, "free for the other one now")

	require.NoError(t, db.SyncExternalService(t.Context(), e.ID, func(string) ([]extsvc.Repo, error) { return nil, errors.New("bad text") }))
	services, err := db.ExternalServices(t.Context())
	require.NoError(t, err)
	require.Equal(t, "bad text", *services[0].LastSyncError)
	require.EqualValues(t, 1, services[0].RepoCount, "what was there stays")

	require.NoError(t, db.RemoveRepo(t.Context(), repo(t, db, "h/c").ID, extsvc.Without))
	services, err = db.ExternalServices(t.Context())
	require.NoError(t, err)
	require.NotContains(t, services[1].Config, `"c"`)
}

func TestRetryAfterDoublesUpToAnEnd(t *testing.T) {
	require.InDelta(t, 5*time.Second, retryAfter(0), float64(time.Second))
	require.InDelta(t, 40*time.Second, retryAfter(3), float64(4*time.Second))
	require.InDelta(t, longestRetry, retryAfter(1000), float64(3*time.Minute))
}

// TestRepositoriesGivenAtStart: DEMO_REPOS is followed at each start, and left alone when it is not there.
func TestRepositoriesGivenAtStart(t *testing.T) {
	db := newDB(t)
	names := func() (list []string) {
		repos, err := db.Repos(t.Context())
		require.NoError(t, err)
		for _, r := range repos {
			list = append(list, r.Name)
		}
		return list
	}
	require.NoError(t, keepGiven(t.Context(), db, "https://h/a file:///srv/b.git"))
	require.ElementsMatch(t, []string{"h/a", "srv/b"}, names())
	require.NoError(t, keepGiven(t.Context(), db, "https://h/a https://h/c"))
	require.NoError(t, keepGiven(t.Context(), db, ""))
	require.ElementsMatch(t, []string{"h/a", "h/c"}, names())
	services, err := db.ExternalServices(t.Context())
	require.NoError(t, err)
	require.Len(t, services, 1)
	require.ErrorContains(t, keepGiven(t.Context(), db, "ftp://h/a"), `DEMO_REPOS: configuration: repos[0]: ftp://h/a: scheme "ftp"`)
}
