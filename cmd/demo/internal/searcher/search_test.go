package searcher

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
)

// gitGrep counts matching lines by file, as git does.
func gitGrep(t *testing.T, s *stack, commit string, args ...string) map[string]int {
	t.Helper()
	out, err := s.try(append(append([]string{"grep", "-I", "-c", "-z"}, args...), commit)...)
	if err != nil && out == "" {
		return map[string]int{} // nothing found
	}
	counts := map[string]int{}
	for out != "" { // commit:path NUL count newline
		name, rest, _ := strings.Cut(out, "\x00")
		count, rest, _ := strings.Cut(rest, "\n")
		var n int
		_, err := fmt.Sscan(count, &n)
		require.NoError(t, err)
		counts[strings.TrimPrefix(name, commit+":")] = n
		out = rest
	}
	return counts
}

func TestCountsAreThoseOfGitGrep(t *testing.T) {
	s := newStack(t, corpus(), 1<<30)
	old := s.commit
	second := s.push(t, map[string]string{"newlines": "foo\nfoo\n", "more.go": "func foo() error { return nil }\n"})
	for _, tc := range []struct {
		pattern   string
		regexp    bool
		sensitive bool
	}{
		{"foo", false, true}, {"foo", false, false}, {"Error", false, false}, {"error", false, true}, {"a.b", false, true}, {"a*b", false, false},
		{"-dash", false, true}, {"(z)", false, true}, {"k", false, false}, {"s", false, false}, {"café", false, true}, {"nothing like it", false, false},
		{"fo+", true, true}, {"^foo", true, true}, {"foo$", true, true}, {"^", true, true}, {"[Ee]rror", true, true}, {"err|nil", true, true},
		{"(foo|bar)[A-Z]", true, true}, {"x*", true, true}, {"fo{2}B", true, true}, {"FOO", true, false}, {"e(r)+or", true, false}, {"[a-z]", true, true},
		{"return .*nil", true, true}, {"func|return", true, false}, {"a[^b]c", true, true},
	} {
		for _, commit := range []string{old, second} {
			args := []string{"-F"}
			if tc.regexp {
				args = []string{"-E"}
			}
			if !tc.sensitive {
				args = append(args, "-i")
			}
			want := gitGrep(t, s, commit, append(args, "-e", tc.pattern)...)
			matches, summary := s.search(t, Request{Commit: commit, Pattern: tc.pattern, IsRegexp: tc.regexp, CaseSensitive: tc.sensitive})
			got := map[string]int{}
			for _, m := range matches {
				require.NotContains(t, got, m.Path, "told twice")
				got[m.Path] = len(m.Lines)
			}
			require.Equal(t, want, got, "%+v", tc)
			require.False(t, summary.LimitHit)
			require.Equal(t, 1, summary.Skipped.Binary)
		}
	}
	require.EqualValues(t, 2, s.fetches.Load(), "one archive for each commit")
}

// git grep counts one more line for ^$ in a file that ends with a line's end, and its dot does not match NUL; grep(1) has it as we do.
func TestEmptyLines(t *testing.T) {
	s := newStack(t, map[string]string{"a": "\n\nx\n\n", "b": "x\n", "c": "", "d": "x\n\ny"}, 1<<30)
	matches, _ := s.search(t, Request{Pattern: "^$", IsRegexp: true})
	require.Len(t, matches, 2)
	require.Equal(t, []LineMatch{{Number: 0, Ranges: [][2]int{{0, 0}}}, {Number: 1, Ranges: [][2]int{{0, 0}}}, {Number: 3, Ranges: [][2]int{{0, 0}}}}, matches[0].Lines)
	require.Equal(t, "d", matches[1].Path)
}

func TestRangesAreRunes(t *testing.T) {
	s := newStack(t, map[string]string{"a": "x\nüß foo ö Foo\r\n", "b": strings.Repeat("ü", 3000) + "foo" + strings.Repeat("z", 5000) + "foo\n"}, 1<<30)
	matches, _ := s.search(t, Request{Pattern: "foo"})
	require.Equal(t, []LineMatch{{Line: "üß foo ö Foo", Number: 1, Ranges: [][2]int{{3, 3}, {9, 3}}}}, matches[0].Lines)
	long := matches[1].Lines[0]
	require.True(t, long.Cut)
	require.Equal(t, 1, long.More)
	require.LessOrEqual(t, len(long.Line), previewMax)
	at := long.Ranges[0][0]
	require.Equal(t, "foo", string([]rune(long.Line)[at:at+3]))
	require.Equal(t, 2, matches[1].Count())
}

func TestSelection(t *testing.T) {
	s := newStack(t, corpus(), 1<<30)
	paths := func(req Request) []string {
		matches, _ := s.search(t, req)
		all := make([]string, len(matches))
		for i, m := range matches {
			all[i] = m.Path
		}
		return all
	}
	for _, p := range paths(Request{Pattern: "foo", IncludePaths: []string{`\.GO$`, "^go/"}, ExcludePaths: []string{"fa"}}) {
		require.Regexp(t, `^go/f[^a]\.go$`, p)
	}
	require.Empty(t, paths(Request{Pattern: "foo", IncludePaths: []string{`\.GO$`}, CaseSensitive: true}))
	for _, p := range paths(Request{Pattern: "foo", Langs: []string{"golang", "Python"}, NotLangs: []string{"py"}}) {
		require.Regexp(t, `\.go$`, p)
	}
	require.ElementsMatch(t, []string{"dir/caf\xe9", "dir/deep/a.h"}, paths(Request{Pattern: "^dir/", IsRegexp: true, PathsOnly: true}))
	require.Equal(t, []string{"-dash"}, paths(Request{Pattern: "-DASH", PathsOnly: true}))
	require.Len(t, paths(Request{}), len(corpus()))
}

func TestLimit(t *testing.T) {
	s := newStack(t, map[string]string{"a": "foo foo\nfoo\n", "b": "foo\n", "c": "none\n"}, 1<<30)
	for limit, hit := range map[int]bool{1: true, 2: true, 3: true, 4: false, 5: false, 0: false} {
		matches, summary := s.search(t, Request{Pattern: "foo", Limit: limit})
		n := 0
		for _, m := range matches {
			n += m.Count()
		}
		if limit == 0 || limit > 4 {
			limit = 4
		}
		require.Equal(t, limit, n)
		require.Equal(t, hit, summary.LimitHit, limit)
	}
}

func TestBigFilesAreSkippedAndSaid(t *testing.T) {
	s := newStack(t, map[string]string{
		"big.txt": strings.Repeat("foo\n", fileMax/4+1), "big.bin": "\x00" + strings.Repeat("foo\n", fileMax/4+1), "all-lines": strings.Repeat("\n", linesMax+5), "ok": "foo\n",
	}, 1<<30)
	matches, summary := s.search(t, Request{Pattern: "foo"})
	require.Len(t, matches, 1)
	require.Equal(t, Summary{FilesSearched: 2, Skipped: Skipped{Binary: 1, TooBig: 1, Largest: []string{"big.txt"}}}, summary)

	matches, summary = s.search(t, Request{Pattern: "^", IsRegexp: true, IncludePaths: []string{"all-lines"}})
	require.Len(t, matches[0].Lines, linesMax)
	require.True(t, summary.LimitHit, "a file with more lines than are told says so")
}

func TestErrorsOfARequest(t *testing.T) {
	s := newStack(t, map[string]string{"a": "foo\n"}, 1<<30)
	for name, tc := range map[string]struct {
		req  Request
		want error
		text string
	}{
		"regexp":   {Request{Repo: repoName, Commit: s.commit, Pattern: "a(b", IsRegexp: true}, ErrBadPattern, "missing closing )"},
		"file":     {Request{Repo: repoName, Commit: s.commit, IncludePaths: []string{"[z"}}, ErrBadPattern, "missing closing ]"},
		"newline":  {Request{Repo: repoName, Commit: s.commit, Pattern: `a\nb`, IsRegexp: true}, ErrBadPattern, "line's end"},
		"lang":     {Request{Repo: repoName, Commit: s.commit, Langs: []string{"klingon"}}, ErrBadRequest, `"klingon" is not known`},
		"commit":   {Request{Repo: repoName, Commit: "main"}, ErrBadRequest, "full hash"},
		"unknown":  {Request{Repo: "nobody/nothing", Commit: s.commit}, gitserver.ErrNotCloned, "nobody/nothing is not cloned"},
		"revision": {Request{Repo: repoName, Commit: strings.Repeat("0", 40)}, gitserver.ErrRevisionNotFound, "no such revision"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Search(t.Context(), tc.req, func(FileMatch) error { return nil })
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.text)
		})
	}
}

func TestEmitEndsTheSearch(t *testing.T) {
	s := newStack(t, corpus(), 1<<30)
	_, err := s.Search(t.Context(), Request{Repo: repoName, Commit: s.commit, Pattern: "foo"}, func(FileMatch) error { return context.Canceled })
	require.ErrorIs(t, err, context.Canceled)
}
