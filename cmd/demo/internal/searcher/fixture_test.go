package searcher

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
)

const repoName = "example.org/corpus"

// stack is a real gitserver with one clone, and a real searcher in front of it, each behind HTTP.
type stack struct {
	*Client
	cache   *Cache
	git     *gitserver.Client
	gitAddr string
	source  string
	commit  string
	fetches atomic.Int64
}

func newStack(t testing.TB, files map[string]string, cacheBytes int64) *stack {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	s := &stack{source: filepath.Join(t.TempDir(), "source")}
	require.NoError(t, os.Mkdir(s.source, 0o755))
	s.run(t, "init", "-q", "-b", "main")
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	store, err := gitserver.Open(filepath.Join(t.TempDir(), "repos"), gitserver.DefaultLimits(), log)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	gitWeb := httptest.NewServer(gitserver.Handler(store, ""))
	t.Cleanup(gitWeb.Close)
	s.gitAddr = gitWeb.Listener.Addr().String()
	s.git = gitserver.NewClient(func() []string { return []string{s.gitAddr} }, nil)
	s.commit = s.push(t, files)

	s.cache, err = OpenCache(filepath.Join(t.TempDir(), "cache"), cacheBytes, s.fetch, log)
	require.NoError(t, err)
	configured := make(chan struct{})
	close(configured)
	web := httptest.NewServer(Handler(NewSearcher(s.cache), configured, log))
	t.Cleanup(web.Close)
	s.Client = NewClient(func() []string { return []string{web.URL} }, nil)
	return s
}

func (s *stack) fetch(ctx context.Context, repo, commit string) (io.ReadCloser, error) {
	s.fetches.Add(1)
	return s.git.Archive(ctx, repo, commit)
}

func (s *stack) run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := s.try(args...)
	require.NoError(t, err, "git %v", args)
	return out
}

func (s *stack) try(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = s.source
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org", "LC_ALL=C")
	out, err := cmd.Output()
	return string(out), err
}

// push commits files and has gitserver fetch them.
func (s *stack) push(t testing.TB, files map[string]string) string {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(s.source, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	s.run(t, "add", "-A")
	s.run(t, "commit", "-q", "--allow-empty", "-m", "files")
	_, err := s.git.Update(t.Context(), repoName, "file://"+s.source, "")
	require.NoError(t, err)
	return strings.TrimSpace(s.run(t, "rev-parse", "HEAD"))
}

func (s *stack) search(t testing.TB, req Request) ([]FileMatch, Summary) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if req.Repo == "" {
		req.Repo = repoName
	}
	if req.Commit == "" {
		req.Commit = s.commit
	}
	var all []FileMatch
	summary, err := s.Search(ctx, req, func(m FileMatch) error { all = append(all, m); return nil })
	require.NoError(t, err)
	return all, summary
}

// corpus is the same for every run: source-like text with what makes counting hard.
func corpus() map[string]string {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("func return Error error ERROR nil if err != nil { } foo Foo fooBar TODO k K s S x := y() // comment über café \t tab 0x1F [a-z]+ a.b a*b $x ^y (z) -dash")
	files := map[string]string{
		"empty":        "",
		"newlines":     "\n\n\nfoo\n\n",
		"no-end":       "foo\nlast foo",
		"crlf.txt":     "foo\r\nbar foo\r\n",
		"bin":          "foo\x00bar\nfoo\n",
		"late-nul":     strings.Repeat("foo text\n", 1000) + "\x00\n",
		"latin1":       "caf\xe9 foo\n\xff\xfe foo\n",
		"kelvin":       "\u212A and \u017F\n",
		"new\nline":    "foo in an odd file\n",
		"-dash":        "foo\n",
		"dir/caf\xe9":  "foo\n",
		"long":         strings.Repeat("x", 10_000) + "foo" + strings.Repeat("y", 10_000) + "foo\nfoo\n",
		"dir/deep/a.h": "foo\n",
	}
	for i := range 60 {
		var b bytes.Buffer
		for range r.IntN(400) {
			for range r.IntN(12) {
				b.WriteString(words[r.IntN(len(words))])
				b.WriteByte(' ')
			}
			b.WriteByte('\n')
		}
		files[[]string{"go/f", "py/g", "h"}[i%3]+string(rune('a'+i%26))+[]string{".go", ".py", ".md"}[i%3]] = b.String()
	}
	return files
}
