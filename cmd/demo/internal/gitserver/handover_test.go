package gitserver

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// cluster is some gitservers that know each other.
type cluster struct {
	*Client
	stores map[string]*Store // by address
	addrs  []string
}

func newCluster(t *testing.T, n int) *cluster {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	c := &cluster{stores: map[string]*Store{}}
	var webs []*httptest.Server
	for range n {
		web := httptest.NewUnstartedServer(nil)
		webs = append(webs, web)
		c.addrs = append(c.addrs, web.Listener.Addr().String())
	}
	for i, web := range webs {
		store, err := Open(filepath.Join(t.TempDir(), "repos"), DefaultLimits(), slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		store.Join(c.addrs[i], c.addrs, true)
		c.stores[c.addrs[i]] = store
		web.Config.Handler = Handler(store, c.addrs[i])
		web.Start()
		t.Cleanup(func() { web.Close(); require.NoError(t, store.Close()) })
	}
	c.Client = NewClient(func() []string { return c.addrs }, nil)
	return c
}

// only is a client that knows one gitserver, as all did before there were more.
func (c *cluster) only(addr string) *Client {
	return NewClient(func() []string { return []string{addr} }, nil)
}

// misplaced names a repository that belongs to another gitserver than holder, and that one.
func (c *cluster) misplaced(holder string) (name, owner string) {
	for i := 0; ; i++ {
		name = fmt.Sprintf("h/über %d", i)
		if owner = Rendezvous(name, c.addrs)[0]; owner != holder {
			return name, owner
		}
	}
}

func (c *cluster) has(addr, name string) bool { return whole(cloneDir(c.stores[addr].root, name)) }

// archived reads the one file of a commit.
func archived(t *testing.T, c *Client, name, commit string) string {
	t.Helper()
	body, err := c.Archive(deadline(t), name, commit)
	require.NoError(t, err)
	defer body.Close()
	for files := tar.NewReader(body); ; {
		h, err := files.Next()
		require.NoError(t, err)
		if h.Typeflag == tar.TypeReg {
			content, err := io.ReadAll(files)
			require.NoError(t, err)
			return string(content)
		}
	}
}

// A repository moves: it is answered from where it was, copied from there without the code host, handed over, and answered from its new place.
func TestARepositoryMoves(t *testing.T) {
	c, src := newCluster(t, 3), newSource(t)
	ctx, old := deadline(t), c.addrs[0]
	name, owner := c.misplaced(old)
	first := src.commit(map[string]string{"f": "one"})
	before, err := c.only(old).Update(ctx, name, src.url(), "")
	require.NoError(t, err)
	require.Equal(t, old, before.Shard)

	got, err := c.Resolve(ctx, name, old, "")
	require.NoError(t, err)
	require.Equal(t, first, got)
	require.Equal(t, "one", archived(t, c.Client, name, first))
	c.stores[old].sweep(ctx)
	require.True(t, c.has(old, name), "nobody else has it")

	require.NoError(t, os.Rename(src.dir, src.dir+".away"))
	_, err = c.Update(ctx, name, src.url(), old)
	require.ErrorIs(t, err, ErrRemoteNotFound, "the code host is asked for what is newer")
	require.True(t, c.has(owner, name), "the copy stays")
	copied, err := c.Status(ctx, name)
	require.NoError(t, err)
	require.Equal(t, before.LastFetched, copied.LastFetched, "a copy is as old as the original")
	require.Equal(t, before.LastChanged, copied.LastChanged)
	got, err = c.Resolve(ctx, name, old, "")
	require.NoError(t, err)
	require.Equal(t, first, got)

	require.NoError(t, os.Rename(src.dir+".away", src.dir))
	second := src.commit(map[string]string{"f": "two"})
	after, err := c.Update(ctx, name, src.url(), old)
	require.NoError(t, err)
	require.Equal(t, owner, after.Shard)

	c.stores[old].sweep(ctx)
	require.False(t, c.has(old, name))
	for _, holder := range []string{old, owner} { // a caller may have read the former holder's name just before
		got, err = c.Resolve(ctx, name, holder, "")
		require.NoError(t, err)
		require.Equal(t, second, got)
	}
	require.Equal(t, "two", archived(t, c.Client, name, second))
	require.NoError(t, c.Remove(ctx, name))
	require.False(t, c.has(owner, name))
}

// Nothing is removed that its owner could not give back.
func TestAMisplacedCloneStaysUntilItsOwnerHasASoundOne(t *testing.T) {
	for problem, cause := range map[string]func(t *testing.T, c *cluster, src *source, name, owner string){
		"the owner's is older": func(t *testing.T, c *cluster, src *source, name, _ string) {
			_, err := c.only(c.addrs[0]).Update(deadline(t), name, src.url(), "")
			require.NoError(t, err)
		},
		"the owner's is damaged": func(t *testing.T, c *cluster, src *source, name, owner string) {
			blob := src.git("rev-parse", "HEAD:f")
			object := filepath.Join(cloneDir(c.stores[owner].root, name), "objects", blob[:2], blob[2:])
			require.NoError(t, os.Chmod(object, 0o600))
			require.NoError(t, os.Truncate(object, 1))
		},
		"the owner thinks that it is not": func(_ *testing.T, c *cluster, _ *source, name, owner string) {
			others := slices.DeleteFunc(slices.Clone(c.addrs), func(a string) bool { return a == owner })
			c.stores[owner].shards.client = NewClient(func() []string { return others }, nil)
		},
		"it is to stay": func(_ *testing.T, c *cluster, _ *source, _, _ string) { c.stores[c.addrs[0]].shards.handOff = false },
	} {
		t.Run(problem, func(t *testing.T) {
			c, src := newCluster(t, 2), newSource(t)
			ctx, old := deadline(t), c.addrs[0]
			name, owner := c.misplaced(old)
			src.commit(map[string]string{"f": "one"})
			_, err := c.only(old).Update(ctx, name, src.url(), "")
			require.NoError(t, err)
			_, err = c.Update(ctx, name, src.url(), old)
			require.NoError(t, err)
			cause(t, c, src, name, owner)
			c.stores[old].sweep(ctx)
			require.True(t, c.has(old, name))
		})
	}
}

// A clone that was left behind by an earlier change of numbers may be old: it answers for no branch before it is fetched again.
func TestALeftoverCloneAnswersForNoBranch(t *testing.T) {
	c, src := newCluster(t, 2), newSource(t)
	ctx := deadline(t)
	name, owner := c.misplaced(c.addrs[0])
	first := src.commit(map[string]string{"f": "one"})
	_, err := c.Update(ctx, name, src.url(), "")
	require.NoError(t, err)
	second := src.commit(map[string]string{"f": "two"})

	_, err = c.Resolve(ctx, name, "127.0.0.1:1", "") // it was elsewhere meanwhile
	require.ErrorIs(t, err, ErrNotCloned)
	require.ErrorContains(t, err, owner)
	require.Equal(t, "one", archived(t, c.Client, name, first), "a commit is the same for ever")
	result, err := c.Update(ctx, name, src.url(), "127.0.0.1:1")
	require.NoError(t, err)
	got, err := c.Resolve(ctx, name, result.Shard, "")
	require.NoError(t, err)
	require.Equal(t, second, got)
}

// Repositories of odd shapes are copied as they are.
func TestCopiesOfOddRepositories(t *testing.T) {
	for shape, make := range map[string]func(src *source){
		"empty":         func(*source) {},
		"detached HEAD": func(src *source) { src.commit(nil); src.git("checkout", "-q", "--detach") },
		"other branch":  func(src *source) { src.commit(nil); src.git("checkout", "-q", "-b", "trunk"); src.commit(nil) },
		"many tags": func(src *source) { // more than git asks for without compression
			src.commit(nil)
			for i := range 60 {
				src.commit(nil)
				src.git("tag", fmt.Sprintf("v%d", i))
			}
		},
	} {
		t.Run(shape, func(t *testing.T) {
			c, src := newCluster(t, 2), newSource(t)
			ctx, old := deadline(t), c.addrs[0]
			name, owner := c.misplaced(old)
			make(src)
			_, err := c.only(old).Update(ctx, name, src.url(), "")
			require.NoError(t, err)
			_, err = c.Update(ctx, name, "file:///nowhere", old)
			require.ErrorIs(t, err, ErrRemoteNotFound)
			a, err := c.statusAt(ctx, old, name)
			require.NoError(t, err)
			b, err := c.statusAt(ctx, owner, name)
			require.NoError(t, err)
			require.True(t, b.Cloned)
			require.Equal(t, a.Refs, b.Refs)
			require.Equal(t, a.LastChanged, b.LastChanged)
		})
	}
}

// While clones are handed over, every reader is answered.
func TestReadersDoNotNoticeTheHandover(t *testing.T) {
	c, src := newCluster(t, 2), newSource(t)
	ctx, old := deadline(t), c.addrs[0]
	commit := src.commit(map[string]string{"f": "one"})
	var names []string
	for i := range 20 {
		name := fmt.Sprintf("r%d", i)
		names = append(names, name)
		_, err := c.only(old).Update(ctx, name, src.url(), "")
		require.NoError(t, err)
		_, err = c.Update(ctx, name, src.url(), old)
		require.NoError(t, err)
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var readers sync.WaitGroup
	var mu sync.Mutex
	var faults []error
	for range 4 {
		readers.Go(func() {
			for i := 0; reading.Err() == nil; i++ {
				got, err := c.Resolve(reading, names[i%len(names)], old, "")
				if reading.Err() == nil && (err != nil || got != commit) {
					mu.Lock()
					faults = append(faults, fmt.Errorf("%s: %q: %w", names[i%len(names)], got, err))
					mu.Unlock()
				}
			}
		})
	}
	c.stores[old].sweep(ctx)
	stop()
	readers.Wait()
	require.NoError(t, errors.Join(faults...))
	for _, name := range names {
		require.Equal(t, Rendezvous(name, c.addrs)[0] == old, c.has(old, name))
	}
}

func TestWhoDoesNotKnowWhoHeIsGivesNothingAway(t *testing.T) {
	gs := newServer(t)
	gs.store.Join("127.0.0.1:9", []string{"127.0.0.1:7", "127.0.0.1:8"}, true)
	src := newSource(t)
	src.commit(map[string]string{"f": "one"})
	_, err := gs.Update(deadline(t), "a/b", src.url(), "127.0.0.1:7")
	require.NoError(t, err)
	gs.store.sweep(deadline(t))
	require.True(t, whole(cloneDir(gs.root, "a/b")))
}
