package searcher

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/stretchr/testify/require"
)

// Matches arrive while the search still runs: the first one is told although the rest waits for us.
func TestMatchesStream(t *testing.T) {
	files := map[string]string{}
	for i := range 400 {
		files[fmt.Sprintf("f%03d", i)] = strings.Repeat("foo and some text around it\n", 2000)
	}
	s := newStack(t, files, 1<<30)
	s.search(t, Request{Pattern: "foo", Limit: 1})
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	_, err := s.Search(ctx, Request{Repo: repoName, Commit: s.commit, Pattern: "foo"}, func(FileMatch) error {
		if n++; n == 1 {
			cancel() // the client goes at the first match
		}
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, n, 400)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before }, 30*time.Second, 10*time.Millisecond, "workers and handler end")
	all, summary := s.search(t, Request{Pattern: "foo"})
	require.Equal(t, 800_000, count(all))
	require.Equal(t, 400, summary.FilesSearched)
}

// The searcher answers its health check before it knows its gitservers, and a search waits until then.
func TestSearchWaitsForTheConfiguration(t *testing.T) {
	s := newStack(t, map[string]string{"a": "foo\n"}, 1<<30)
	configured := make(chan struct{})
	web := httptest.NewServer(Handler(NewSearcher(s.cache), configured, slog.New(slog.NewTextHandler(io.Discard, nil))))
	t.Cleanup(web.Close)
	c := NewClient(func() []string { return []string{web.URL + "/"} }, nil)
	done := make(chan error, 1)
	go func() {
		_, err := c.Search(t.Context(), Request{Repo: repoName, Commit: s.commit, Pattern: "foo"}, func(FileMatch) error { return nil })
		done <- err
	}()
	resp, err := http.Get(web.URL + "/healthz")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	default:
	}
	close(configured)
	require.NoError(t, <-done)
}

// An answer without an end is an error, never a short list of results.
func TestAnswerThatBreaksOff(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{"match":{"path":"YQ=="}}`+"\n")
	}))
	t.Cleanup(web.Close)
	c := NewClient(func() []string { return []string{web.URL} }, nil)
	n := 0
	_, err := c.Search(t.Context(), Request{Repo: "a", Commit: "b"}, func(FileMatch) error { n++; return nil })
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, 1, n)
}

func TestLower(t *testing.T) {
	require.NoError(t, quick.Check(func(b []byte) bool {
		want := make([]byte, len(b))
		for i, c := range b {
			want[i] = c
			if c >= 'A' && c <= 'Z' {
				want[i] = c + 'a' - 'A'
			}
		}
		return string(lower(nil, b)) == string(want)
	}, &quick.Config{MaxCount: 2000}))
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	require.Equal(t, "@abcdefghijklmnopqrstuvwxyz[", string(lower(nil, all))[64:92])
}

func TestRequired(t *testing.T) {
	for pattern, want := range map[string]string{
		"foo": "foo", "fo+bar": "bar", "(abc)+x": "abc", "a|b": "", "x*long?": "lon", "(?i)Handler": "handler", "(?i)task": "ta", "[ab]cde{2}": "cd", "(abc){0,3}": "", "^func (a|b)": "func ",
	} {
		m, err := newMatcher(pattern, true, true)
		require.NoError(t, err)
		require.Equal(t, want, string(m.literal), pattern)
	}
}
