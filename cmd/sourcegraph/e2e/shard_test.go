package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// sharded is an appliance whose repositories are spread over some gitservers.
type sharded struct {
	*appliance
	repos   []string // names
	needles int
}

const everything = "needle count:all"

// TestShards spreads twelve repositories over one, three, one and two gitservers, kills one of them, restarts all, and counts all the while.
func TestShards(t *testing.T) {
	a := &sharded{appliance: install(t)}
	a.replicas(1)
	a.up()
	a.administrator()
	a.fill(12)

	a.step(t, "1 → 3: every search is exact, and clones move without the code host", func(t *testing.T) {
		l := a.under(everything, a.needles)
		l.more(5)
		a.change(3)
		a.placed(3)
		l.more(5)
		all := l.end()
		require.Empty(t, failed(all), describe(failed(all)))
		require.NotEmpty(t, a.clones(1, 2))
		t.Logf("1 → 3: %d searches, slowest %s", len(all), ms(slowest(all)))
	})

	a.step(t, "kill -9 of one is felt by its own repositories alone", func(t *testing.T) {
		n := 1 + slices.IndexFunc([]int{1, 2}, func(n int) bool { return len(a.clones(n)) > 0 }) // the first may still hold what has moved
		name := fmt.Sprintf("gitserver/%d", n)
		old := a.settled(name)
		others, want := everything, a.needles
		for i, repo := range a.repos {
			if slices.Contains(a.clones(n), repo) {
				others, want = others+" -repo:/"+filepath.Base(repo)+"$", want-i-1
			}
		}
		a.answers(others, want)
		whole, rest := a.under(everything, a.needles), a.under(others, want)
		whole.more(5)
		_, before := a.status()
		a.kill(old.PID)
		a.until(name, func(s api.Service) bool { return s.State == api.Ready && s.Run > old.Run })
		a.answers(everything, a.needles)
		whole.more(5)
		unaffected := rest.end()
		require.Empty(t, failed(unaffected), describe(failed(unaffected)))
		requireHonest(t, whole.end())
		_, after := a.status()
		for _, other := range []string{"gitserver/0", "gitserver/1", "gitserver/2", "frontend", "searcher/0", "searcher/1", "worker"} {
			require.Equal(t, other == name, before[other].PID != after[other].PID, other)
		}
	})

	a.step(t, "restart of one, and of all", func(t *testing.T) {
		_, before := a.status()
		op, err := a.client.Restart(context.Background(), []string{"gitserver/1"})
		require.NoError(t, err)
		require.Equal(t, []string{"gitserver/1"}, op.Affected)
		_, one := a.status()
		require.Equal(t, before["gitserver/0"].PID, one["gitserver/0"].PID)
		require.NotEqual(t, before["gitserver/1"].PID, one["gitserver/1"].PID)
		op, err = a.client.Restart(context.Background(), []string{"gitserver"})
		require.NoError(t, err)
		require.Equal(t, []string{"gitserver/0", "gitserver/1", "gitserver/2"}, op.Affected)
		a.answers(everything, a.needles)
	})

	a.step(t, "the whole stops and starts", func(t *testing.T) {
		require.Equal(t, 0, a.stop(), a.out)
		a.up()
		a.answers(everything, a.needles)
	})

	a.step(t, "3 → 1: what is not there is said, and the files of the others stay", func(t *testing.T) {
		kept := a.clones(1, 2)
		l := a.under(everything, a.needles)
		l.more(5)
		a.change(1)
		a.answers(everything, a.needles)
		l.more(5)
		all := l.end()
		requireHonest(t, all)
		require.ElementsMatch(t, a.repos, a.clones(0))
		require.ElementsMatch(t, kept, a.clones(1, 2))
		t.Logf("3 → 1: %d searches, slowest %s, %s", len(all), ms(slowest(all)), describe(failed(all)))
	})

	a.step(t, "1 → 2: the old files that are found again answer for nothing", func(t *testing.T) {
		a.grow()
		l := a.under(everything, a.needles)
		l.more(5)
		a.change(2)
		a.placed(2)
		l.more(5)
		all := l.end()
		require.Empty(t, failed(all), describe(failed(all)))
		t.Logf("1 → 2: %d searches, slowest %s", len(all), ms(slowest(all)))
	})
	require.Equal(t, 0, a.stop(), a.out)
}

// under begins a load that two cores bear: gitserver starts a git for each repository of each search.
func (a *sharded) under(query string, want int) *load { return a.underAt(time.Second, query, want) }

// fill makes repositories of 1, 2, 3 … needles, and waits until they are found.
func (a *sharded) fill(n int) {
	a.t.Helper()
	var urls []string
	for i := range n {
		name := fmt.Sprintf("r%02d", i)
		urls = append(urls, a.repository(name, "file", strings.Repeat("a needle\n", i+1)))
		a.repos = append(a.repos, strings.TrimPrefix(filepath.Join(a.src(), name), "/"))
		a.needles += i + 1
	}
	a.add(urls...)
	a.cloned(n)
	a.answers(everything, a.needles)
}

// grow adds a needle to every repository at its code host, and waits until all are found.
func (a *sharded) grow() {
	a.t.Helper()
	for _, repo := range a.repos {
		a.repository(filepath.Base(repo), "more", "another needle\n")
		a.needles++
	}
	a.answers(everything, a.needles)
}

// replicas writes the configuration. Fetches and the handing over of clones do not wait for their minute.
func (a *sharded) replicas(gitservers int) {
	a.t.Helper()
	a.configureAll(map[string][]string{
		"gitserver": {fmt.Sprintf("replicas: %d", gitservers), "env: {SRC_REPOS_JANITOR_INTERVAL: 500ms}"},
		"searcher":  {"replicas: 2"},
		"worker":    {"env: {DEMO_FETCH_INTERVAL: 2s}"},
	})
}

// change has that many gitservers, under way.
func (a *sharded) change(gitservers int) {
	a.t.Helper()
	a.replicas(gitservers)
	change, err := a.client.Reload(context.Background())
	require.NoError(a.t, err)
	require.Subset(a.t, change.Restarted, []string{"frontend", "searcher/0", "searcher/1", "worker"})
	a.ready()
}

// clones are the repositories that lie with these gitservers.
func (a *sharded) clones(numbers ...int) (names []string) {
	for _, n := range numbers {
		root := filepath.Join(a.data(), "shared", "repos", fmt.Sprint(n))
		for _, repo := range a.repos {
			if _, err := os.Stat(filepath.Join(root, repo, ".git", "HEAD")); err == nil {
				names = append(names, repo)
			}
		}
	}
	return names
}

// placed waits until each repository lies with exactly one of the first n gitservers.
func (a *sharded) placed(n int) {
	a.t.Helper()
	var all []int
	for i := range n {
		all = append(all, i)
	}
	require.True(a.t, a.eventually(func() bool { return len(a.clones(all...)) == len(a.repos) }), "%v", a.clones(all...))
	names := a.clones(all...)
	slices.Sort(names)
	require.Equal(a.t, a.repos, names)
}

// requireHonest lets a search give less than the whole only if it says so, and fail in no other way.
func requireHonest(t *testing.T, all []outcome) {
	t.Helper()
	var bad []outcome
	for _, o := range failed(all) {
		var p *partial
		var said alert
		if !errors.As(o.err, &p) && !errors.As(o.err, &said) {
			bad = append(bad, o)
		}
	}
	require.Empty(t, bad, describe(bad))
}
