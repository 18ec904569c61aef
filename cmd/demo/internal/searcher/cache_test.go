package searcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func entryFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	return files
}

func count(matches []FileMatch) int {
	n := 0
	for _, m := range matches {
		n += m.Count()
	}
	return n
}

// However an archive was damaged, a search over it is right, and the archive is fetched again once.
func TestDamagedArchiveIsFoundAndFetchedAgain(t *testing.T) {
	files := map[string]string{}
	for i := range 2000 {
		files[fmt.Sprintf("d%02d/f%04d", i%50, i)] = fmt.Sprintf("foo %d\n%s\n", i, strings.Repeat("text ", 200))
	}
	s := newStack(t, files, 1<<30)
	all, _ := s.search(t, Request{Pattern: "foo"})
	require.Equal(t, 2000, count(all))
	path := entryFiles(t, s.cache.dir)[0]
	sound, err := os.ReadFile(path)
	require.NoError(t, err)
	flip := func(at int) []byte {
		b := bytes.Clone(sound)
		b[at] ^= 1
		return b
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "half": sound[:len(sound)/2], "one byte short": sound[1:], "first file": flip(3), "last file": flip(len(sound)/2 + len(sound)/3),
		"index": flip(len(sound) - footerSize - 10), "footer": flip(len(sound) - 30), "magic": flip(len(sound) - 1), "zeros": make([]byte, len(sound)),
	} {
		t.Run(name, func(t *testing.T) {
			before := s.fetches.Load()
			require.NoError(t, os.WriteFile(path, bad, 0o600))
			got, summary := s.search(t, Request{Pattern: "foo"})
			require.Equal(t, all, got, "each match once, in order")
			require.Equal(t, 2000, summary.FilesSearched)
			require.Equal(t, before+1, s.fetches.Load())
			again, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Equal(sound, again))
			require.EqualValues(t, len(sound), s.cache.Bytes())
		})
	}
}

func TestCacheSurvivesARestartAndEvictsTheLeastRecentlyUsed(t *testing.T) {
	s := newStack(t, map[string]string{"a": strings.Repeat("foo\n", 25_000)}, 350_000)
	commits := []string{s.commit}
	for i := range 2 {
		commits = append(commits, s.push(t, map[string]string{"a": strings.Repeat("foo\n", 25_000) + fmt.Sprint(i)}))
	}
	search := func(i int) { s.search(t, Request{Commit: commits[i], Pattern: "foo", Limit: 1}) }
	search(0)
	search(1)
	search(2)
	require.Len(t, entryFiles(t, s.cache.dir), 3)
	require.EqualValues(t, 3, s.fetches.Load())
	search(0) // now 1 is the oldest
	commits = append(commits, s.push(t, map[string]string{"a": strings.Repeat("foo\n", 25_000) + "new"}))
	search(3)
	require.Len(t, entryFiles(t, s.cache.dir), 3)
	require.LessOrEqual(t, s.cache.Bytes(), int64(350_000))
	require.EqualValues(t, 4, s.fetches.Load())
	search(0)
	search(2)
	require.EqualValues(t, 4, s.fetches.Load(), "0 and 2 are still there")

	half := filepath.Join(s.cache.dir, "x"+ending+".new-123")
	require.NoError(t, os.WriteFile(half, []byte("half"), 0o600))
	again, err := OpenCache(s.cache.dir, 250_000, s.fetch, slog.New(slog.NewTextHandler(io.Discard, nil)))
	require.NoError(t, err)
	require.NoFileExists(t, half)
	require.Len(t, entryFiles(t, s.cache.dir), 2, "a smaller cache evicts at once")
	for _, i := range []int{0, 2} { // the order of use came through the restart
		a, err := again.open(t.Context(), repoName, commits[i])
		require.NoError(t, err)
		require.NoError(t, a.Close())
	}
	require.EqualValues(t, 4, s.fetches.Load())
}

func TestManySearchesFetchOnce(t *testing.T) {
	s := newStack(t, map[string]string{"a": "foo\n"}, 1<<30)
	gate := make(chan struct{})
	s.cache.fetch = func(ctx context.Context, repo, commit string) (io.ReadCloser, error) {
		<-gate
		return s.fetch(ctx, repo, commit)
	}
	var all sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		all.Go(func() {
			n := 0
			_, errs[i] = s.Search(t.Context(), Request{Repo: repoName, Commit: s.commit, Pattern: "foo"}, func(FileMatch) error { n++; return nil })
			if errs[i] == nil && n != 1 {
				errs[i] = fmt.Errorf("%d matches", n)
			}
		})
	}
	require.Eventually(t, func() bool {
		s.cache.mu.Lock()
		defer s.cache.mu.Unlock()
		f := s.cache.fetches[fileName(repoName+"@"+s.commit)]
		return f != nil && f.waiting == len(errs)
	}, 30*time.Second, time.Millisecond)
	close(gate)
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	require.EqualValues(t, 1, s.fetches.Load())
}

// A fetch goes on while one of those who wait is there, and ends with the last.
func TestFetchEndsWithItsLastWaiter(t *testing.T) {
	s := newStack(t, map[string]string{"a": "foo\n"}, 1<<30)
	began, ended := make(chan struct{}), make(chan struct{})
	s.cache.fetch = func(ctx context.Context, _, _ string) (io.ReadCloser, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := s.Search(ctx, Request{Repo: repoName, Commit: s.commit, Pattern: "foo"}, func(FileMatch) error { return nil })
		failed <- err
	}()
	<-began
	cancel() // the client goes
	<-ended  // and so the searcher gives up
	require.ErrorIs(t, <-failed, context.Canceled)
}

// An archive that breaks off is fetched again, a few times. After that it is an error and leaves nothing.
func TestBrokenStream(t *testing.T) {
	s := newStack(t, map[string]string{"a": strings.Repeat("foo\n", 100_000)}, 1<<30)
	s.cache.fetch = func(ctx context.Context, repo, commit string) (io.ReadCloser, error) {
		body, err := s.fetch(ctx, repo, commit)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(body, 300_000), broken{}), body}, nil
	}
	_, err := s.Search(t.Context(), Request{Repo: repoName, Commit: s.commit, Pattern: "foo"}, func(FileMatch) error { return nil })
	require.ErrorContains(t, err, "unexpected EOF")
	require.Empty(t, entryFiles(t, s.cache.dir))
	require.EqualValues(t, tries, s.fetches.Load())
	always, left := s.cache.fetch, tries-1
	s.cache.fetch = func(ctx context.Context, repo, commit string) (io.ReadCloser, error) {
		if left--; left >= 0 {
			return always(ctx, repo, commit)
		}
		return s.fetch(ctx, repo, commit)
	}
	all, _ := s.search(t, Request{Pattern: "foo"})
	require.Equal(t, 100_000, count(all))
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestFullDiskEvictsHalfOfTheCache(t *testing.T) {
	s := newStack(t, map[string]string{"a": strings.Repeat("foo\n", 100_000)}, 1<<30)
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	s.cache.dir = dir
	s.search(t, Request{Pattern: "foo", Limit: 1})
	second := s.push(t, map[string]string{"b": "b\n"})
	s.search(t, Request{Commit: second, Pattern: "foo", Limit: 1})
	third := s.push(t, map[string]string{"b": "bb\n"}) // the third of 400 KB does not fit into 1 MB
	all, _ := s.search(t, Request{Commit: third, Pattern: "foo"})
	require.Equal(t, 100_000, count(all))
	huge := s.push(t, map[string]string{"b": strings.Repeat("foo\n", 400_000)})
	_, err := s.Search(t.Context(), Request{Repo: repoName, Commit: huge, Pattern: "foo"}, func(FileMatch) error { return nil })
	require.ErrorContains(t, err, "no space left on device")
	for _, f := range entryFiles(t, dir) {
		require.NotContains(t, f, ".new")
	}
}
