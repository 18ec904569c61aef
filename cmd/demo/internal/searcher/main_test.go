package searcher

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/cmd/demo/internal/conf"
	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
)

func TestMain(m *testing.M) {
	if os.Getenv("TEST_ROLE") == "searcher" {
		os.Exit(Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// process is a real searcher: this test binary in its other role.
type process struct {
	cmd    *exec.Cmd
	addr   string
	stderr *bytes.Buffer
	ended  chan struct{}
}

func startProcess(t *testing.T, env ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0]), addr: freeAddr(t), stderr: &bytes.Buffer{}, ended: make(chan struct{})}
	p.cmd.Env = append([]string{"TEST_ROLE=searcher", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "SEARCHER_ADDR=" + p.addr, "SRC_PROF_HTTP=127.0.0.1:0"}, env...)
	p.cmd.Stderr = p.stderr
	require.NoError(t, p.cmd.Start())
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.ended })
	return p
}

func (p *process) waitEnd(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(time.Minute):
		t.Fatal("searcher did not end")
		return 0
	}
}

func (p *process) healthy() bool {
	resp, err := http.Get("http://" + p.addr + "/healthz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// The process is healthy before there is a frontend; it learns its gitservers from it, keeps its cache over a SIGKILL, and ends with 0 on SIGTERM.
func TestProcess(t *testing.T) {
	s := newStack(t, map[string]string{"a": "foo\n"}, 1<<30)
	addr := freeAddr(t)
	dir := t.TempDir()
	env := []string{"SRC_FRONTEND_INTERNAL=" + addr, "CACHE_DIR=" + dir}
	p := startProcess(t, env...)
	require.Eventually(t, p.healthy, 30*time.Second, 5*time.Millisecond)

	ln, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	front := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(conf.Config{GitServers: []string{s.gitAddr}})
	})}}
	front.Start()
	t.Cleanup(front.Close)
	find := func(p *process) {
		c := NewClient(func() []string { return []string{"http://" + p.addr} }, nil)
		n := 0
		_, err := c.Search(t.Context(), Request{Repo: repoName, Commit: s.commit, Pattern: "foo"}, func(FileMatch) error { n++; return nil })
		require.NoError(t, err, p.stderr)
		require.Equal(t, 1, n)
	}
	find(p)
	require.NoError(t, p.cmd.Process.Kill())
	p.waitEnd(t)
	require.NoError(t, s.git.Remove(t.Context(), repoName))
	again := startProcess(t, append(env, "SEARCHER_CACHE_SIZE_MB=10")...)
	find(again) // from the cache: the clone is gone
	require.Len(t, entryFiles(t, filepath.Join(dir, "searcher")), 1)
	require.NoError(t, again.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, again.waitEnd(t), again.stderr)
}

// While a searcher is away, another one searches its commits.
func TestTheNextSearcherStandsIn(t *testing.T) {
	s := newStack(t, map[string]string{"a": "foo\n"}, 1<<30)
	there := s.urls()[0]
	away := "http://" + freeAddr(t)
	for gitserver.Rendezvous(repoName+"@"+s.commit, []string{there, away})[0] != away {
		away = "http://" + freeAddr(t)
	}
	s.Client = NewClient(func() []string { return []string{there, away} }, nil)
	found, _ := s.search(t, Request{Pattern: "foo"})
	require.Len(t, found, 1)
}

func TestWrongSettingsAreRefused(t *testing.T) {
	for _, env := range []string{"SEARCHER_CACHE_SIZE_MB=lots", "SEARCHER_CACHE_SIZE_MB=0", "SRC_LOG_LEVEL=loud", "DEMO_HANG_AFTER=x"} {
		p := startProcess(t, env)
		require.Equal(t, 2, p.waitEnd(t), env)
		name, _, _ := strings.Cut(env, "=")
		require.Contains(t, p.stderr.String(), name)
	}
}

func TestCacheDir(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"/c/searcher": {"CACHE_DIR": "/c"}, "/s": {"CACHE_DIR": "/c", "SEARCHER_CACHE_DIR": "/s"}, filepath.Join(os.TempDir(), "searcher"): {},
	} {
		require.Equal(t, want, cacheDir(func(name string) string { return env[name] }))
	}
}
