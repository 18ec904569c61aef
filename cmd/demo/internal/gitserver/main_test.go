package gitserver

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/cmd/demo/internal/conf"
)

func TestMain(m *testing.M) {
	if os.Getenv("TEST_ROLE") == "gitserver" {
		os.Exit(Main(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// process is a real gitserver: this test binary in its other role.
type process struct {
	cmd    *exec.Cmd
	addr   string
	stderr *bytes.Buffer
	ended  chan struct{} // closed when it was reaped
}

// freeAddr is an address where nobody listens. Somebody might, a moment later: the tests that use it then fail loudly.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

func startProcess(t *testing.T, frontend string, env ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0]), addr: freeAddr(t), stderr: &bytes.Buffer{}, ended: make(chan struct{})}
	p.cmd.Env = append([]string{"TEST_ROLE=gitserver", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GITSERVER_ADDR=" + p.addr, "SRC_REPOS_DIR=" + filepath.Join(t.TempDir(), "repos"),
		"SRC_FRONTEND_INTERNAL=" + frontend, "SRC_PROF_HTTP=127.0.0.1:0", "SRC_LOG_LEVEL=info"}, env...)
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
		t.Fatal("gitserver did not end")
		return 0
	}
}

func (p *process) pings() bool {
	resp, err := http.Get("http://" + p.addr + "/ping")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (p *process) client() *Client {
	return NewClient(func() []string { return []string{p.addr} }, nil)
}

// frontend serves the configuration; asked counts.
func frontend(t *testing.T, dsn *atomic.Value, asked *atomic.Int64, there *atomic.Bool) string {
	return strings.TrimPrefix(serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path != conf.Path || !there.Load() {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(conf.Config{PostgresDSN: dsn.Load().(string)})
	})), "http://")
}

func TestProcessWaitsForTheFrontendAndLeavesWhenTheDatabaseMoves(t *testing.T) {
	var dsn atomic.Value
	var asked atomic.Int64
	var there atomic.Bool
	dsn.Store("postgres://u:secret@h/one")
	p := startProcess(t, frontend(t, &dsn, &asked, &there))
	require.Eventually(t, func() bool { return asked.Load() >= 3 }, 30*time.Second, 5*time.Millisecond)
	require.False(t, p.pings(), "no port is open before the frontend has answered")
	there.Store(true)
	require.Eventually(t, p.pings, 30*time.Second, 5*time.Millisecond)
	dsn.Store("postgres://u:secret@h/two")
	require.Equal(t, 1, p.waitEnd(t))
	require.Contains(t, p.stderr.String(), "Detected settings change")
	require.NotContains(t, p.stderr.String(), "secret")
}

func ready(t *testing.T, env ...string) *process {
	t.Helper()
	var dsn atomic.Value
	var asked atomic.Int64
	var there atomic.Bool
	dsn.Store("postgres://h/one")
	there.Store(true)
	p := startProcess(t, frontend(t, &dsn, &asked, &there), env...)
	require.Eventually(t, p.pings, 30*time.Second, 5*time.Millisecond)
	return p
}

// children are the running processes whose parent is the gitserver.
func (p *process) children(t *testing.T) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	var all []int
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(p.cmd.Process.Pid) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			require.NoError(t, err)
			all = append(all, pid)
		}
	}
	return all
}

// SIGTERM in the middle of a clone ends it within the grace, and no git is left.
func TestTermDuringACloneLeavesNoGit(t *testing.T) {
	p := ready(t)
	addr, accepted := mute(t)
	failed := make(chan error, 1)
	go func() { _, err := p.client().Update(deadline(t), "a/b", "http://"+addr+"/x", ""); failed <- err }()
	<-accepted
	groups := p.children(t)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.ErrorIs(t, <-failed, ErrStopped)
	require.Equal(t, 0, p.waitEnd(t), p.stderr)
	requireGone(t, groups)
}

// A second signal ends at once, and still leaves no git.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := ready(t, "SRC_GRACEFUL_SHUTDOWN_TIMEOUT=10m")
	src := newSource(t)
	commit := src.commit(map[string]string{"big": strings.Repeat("0123456789abcdef", 4<<20)})
	_, err := p.client().Update(deadline(t), "a/b", src.url(), "")
	require.NoError(t, err)
	body, err := p.client().Archive(deadline(t), "a/b", commit) // a reader who takes its time
	require.NoError(t, err)
	defer body.Close()
	groups := p.children(t)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { return !p.pings() }, 30*time.Second, 5*time.Millisecond, "closes its door first")
	select {
	case <-p.ended:
		t.Fatal("did not wait for the request")
	default:
	}
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 0, p.waitEnd(t))
	requireGone(t, groups)
}

func TestWrongSettingsAreRefused(t *testing.T) {
	for _, env := range []string{"SRC_REPOS_JANITOR_INTERVAL=often", "SRC_GRACEFUL_SHUTDOWN_TIMEOUT=-1s", "DEMO_WRONG=perhaps", "SRC_REPOS_JANITOR_DISABLE_DELETE_REPOS_ON_WRONG_SHARD=never"} {
		p := startProcess(t, "127.0.0.1:1", env)
		require.Equal(t, 2, p.waitEnd(t), env)
		name, _, _ := strings.Cut(env, "=")
		require.Contains(t, p.stderr.String(), name)
	}
}

func TestIdentity(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"127.0.0.1:3178": {"HOSTNAME": "127.0.0.1:3178"}, "gitserver-0:3178": {"HOSTNAME": "box", "GITSERVER_EXTERNAL_ADDR": "gitserver-0:3178"}, "": {"HOSTNAME": "box"},
	} {
		require.Equal(t, want, identity(func(name string) string { return env[name] }))
	}
}
