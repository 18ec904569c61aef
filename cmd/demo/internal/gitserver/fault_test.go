package gitserver

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNamesURLsRevisionsAndPathsThatCannotBe(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	commit := src.commit(map[string]string{"a": "b"})
	for _, name := range []string{"", "/etc", "../x", "a/../b", "a//b", "a/", "-x", ".tmp", ".gitserver", "a/.git", "a/.GIT/hooks", "a\nb", "a\x00b", "\xff", strings.Repeat("a", 2000), "a/" + strings.Repeat("b", 201)} {
		_, err := gs.Update(ctx, name, src.url(), "")
		require.ErrorIs(t, err, ErrInvalid, "%q", name)
	}
	for _, place := range []string{"", "-u", "--upload-pack=touch /tmp/x", "ext::sh -c id", "/etc", "file:relative", "file://host/x", "ssh://-oProxyCommand=id/x", "ssh://-l@h/x", "ssh://u:p@h/x", "ftp://h/x", "http:///x", "fd::1", "https://h/x y", "git@host:a/b"} {
		_, err := gs.Update(ctx, "a/b", place, "")
		require.ErrorIs(t, err, ErrInvalid, "%q", place)
	}
	for _, name := range []string{"a/b", "a/b/c", "a b", "ü/ö", "a:b", "$(id)", "..a/b..", "a/.github", "a/b*?[x]"} {
		if name[0] == '.' {
			continue
		}
		_, err := gs.Update(ctx, name, src.url(), "")
		require.NoError(t, err, "%q", name)
		got, err := gs.Resolve(ctx, name, "", "main")
		require.NoError(t, err, "%q", name)
		require.Equal(t, commit, got)
	}
	require.NoError(t, gs.Remove(ctx, "a/b")) // a/b/c lies below
	_, err := gs.Resolve(ctx, "a/b/c", "", "main")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"a/b/c", "a b", "ü/ö", "a:b", "$(id)", "a/.github", "a/b*?[x]"}, gs.store.names())

	for _, rev := range []string{"--all", "-h", "a\nb"} {
		_, err := gs.Resolve(ctx, "a b", "", rev)
		require.ErrorIs(t, err, ErrInvalid)
	}
	for _, path := range []string{"/a", "../a", "a/../a", "a//b", "a\x00"} {
		_, _, err := gs.ReadFile(ctx, "a b", commit, path)
		require.ErrorIs(t, err, ErrInvalid, "%q", path)
	}
	_, err = gs.Archive(ctx, "a b", "main")
	require.ErrorIs(t, err, ErrInvalid)
}

func TestRepositoryThatDoesNotExist(t *testing.T) {
	ctx, gs := deadline(t), newServer(t)
	_, err := gs.Update(ctx, "a/b", "file:///nowhere/at/all", "")
	require.ErrorIs(t, err, ErrRemoteNotFound)
	_, err = gs.Resolve(ctx, "a/b", "", "")
	require.ErrorIs(t, err, ErrNotCloned)
	require.ErrorContains(t, err, "/nowhere/at/all", "says why")
	status, err := gs.Status(ctx, "a/b")
	require.NoError(t, err)
	require.False(t, status.Cloned)
	require.Contains(t, status.LastError, "/nowhere/at/all")
	requireNoTemporaries(t, gs)
}

func requireNoTemporaries(t *testing.T, gs *server) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(gs.root, tmpName))
	require.NoError(t, err)
	require.Empty(t, left)
}

// backend serves a source over http with git's own CGI program, behind a user and a password. seen collects the paths asked for.
func backend(t *testing.T, src *source, user, password string) string {
	t.Helper()
	exe, err := exec.Command("git", "--exec-path").Output()
	require.NoError(t, err)
	program := filepath.Join(strings.TrimSpace(string(exe)), "git-http-backend")
	if _, err := os.Stat(program); err != nil {
		t.Skip("git-http-backend is not installed")
	}
	h := &cgi.Handler{Path: program, Stderr: &bytes.Buffer{}, Env: []string{"GIT_PROJECT_ROOT=" + src.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}}
	return serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); password != "" && (u != user || p != password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
}

func TestHTTPWithPassword(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	want := src.commit(map[string]string{"a": "b"})
	const secret = "p%ss'w$rd \"x"
	base := backend(t, src, "alice", secret)
	with := func(user, password string) string {
		return strings.Replace(base, "http://", "http://"+user+":"+password+"@", 1) + "/.git"
	}
	_, err := gs.Update(ctx, "a/b", base+"/.git", "")
	require.ErrorIs(t, err, ErrRemoteAuth)
	_, err = gs.Update(ctx, "a/b", with("alice", "hunter2"), "")
	require.ErrorIs(t, err, ErrRemoteAuth)
	require.NotContains(t, err.Error(), "hunter2")
	var hint interface{ Hint() string }
	require.True(t, errors.As(err, &hint))
	require.Contains(t, hint.Hint(), "password")
	_, err = gs.Update(ctx, "a/b", with("alice", "p%25ss%27w%24rd%20%22x"), "")
	require.NoError(t, err)
	got, err := gs.Resolve(ctx, "a/b", "", "")
	require.NoError(t, err)
	require.Equal(t, want, got)
	next := src.commit(map[string]string{"a": "c"})
	_, err = gs.Update(ctx, "a/b", with("alice", "p%25ss%27w%24rd%20%22x"), "")
	require.NoError(t, err)
	got, err = gs.Resolve(ctx, "a/b", "", "")
	require.NoError(t, err)
	require.Equal(t, next, got)
	_, err = gs.Update(ctx, "a/c", strings.Replace(with("alice", "p%25ss%27w%24rd%20%22x"), "/.git", "/no.git", 1), "")
	require.ErrorIs(t, err, ErrRemoteNotFound)

	for _, leak := range []string{secret, "hunter2", "p%25ss"} {
		require.NotContains(t, gs.log.String(), leak)
		require.NoError(t, filepath.WalkDir(gs.root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			require.NotContains(t, string(data), leak, path)
			return err
		}))
	}
}

// While git talks to a host, no process shows the password on its command line.
func TestPasswordIsOnNoCommandLine(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	src.commit(map[string]string{"a": "b"})
	inner := backend(t, src, "alice", "visible-secret")
	target, err := url.Parse(inner)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	var seen, lines atomic.Int64
	outer := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		all, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			panic(err)
		}
		for _, path := range all {
			line, _ := os.ReadFile(path) // gone meanwhile: empty
			lines.Add(1)
			if bytes.Contains(line, []byte("visible-secret")) {
				seen.Add(1)
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	_, err = gs.Update(ctx, "a/b", strings.Replace(outer, "http://", "http://alice:visible-secret@", 1)+"/.git", "")
	require.NoError(t, err)
	require.Positive(t, lines.Load())
	require.Zero(t, seen.Load())
}

func TestWithoutAHome(t *testing.T) {
	t.Setenv("HOME", "")
	root := filepath.Join(t.TempDir(), "repos")
	store, err := Open(root, DefaultLimits(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	src := newSource(t)
	src.commit(map[string]string{"a": "b"})
	_, err = store.Update(deadline(t), "a/b", src.url(), "")
	require.NoError(t, err)
}

// The source belongs to somebody else than the user that gitserver runs as.
func TestSourceOfAnotherOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to give the source away")
	}
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	src.commit(map[string]string{"a": "b"})
	require.NoError(t, filepath.WalkDir(src.dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, 12345, 12345))
	}))
	for range 2 { // a clone and a fetch
		_, err := gs.Update(ctx, "a/b", src.url(), "")
		require.NoError(t, err)
	}
}

func TestRedact(t *testing.T) {
	r := remote{username: "u", password: "s3 cret"}
	require.Equal(t, "at https://***@h/x and *** and ***", r.redact("at https://u:p@ss@h/x and s3 cret and s3+cret"))
	require.Equal(t, "http://h/?private_token=***&a=b", redactURLs("http://h/?private_token=abc&a=b"))
	require.Equal(t, "no ***", remote{username: "tokentoken"}.redact("no tokentoken"))
}

func TestGitProtocol(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	want := src.commit(map[string]string{"a": "b"})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := ln.Addr().(*net.TCPAddr).Port
	require.NoError(t, ln.Close())
	daemon := exec.Command("git", "daemon", "--listen=127.0.0.1", "--port="+strconv.Itoa(port), "--reuseaddr", "--base-path="+filepath.Dir(src.dir), "--export-all")
	daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := daemon.Start(); err != nil {
		t.Skipf("git daemon: %v", err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-daemon.Process.Pid, syscall.SIGKILL)
		_ = daemon.Wait()
	})
	base := "git://127.0.0.1:" + strconv.Itoa(port)
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 30*time.Second, 20*time.Millisecond, "git daemon listens")
	_, err = gs.Update(ctx, "a/b", base+"/source", "")
	require.NoError(t, err)
	got, err := gs.Resolve(ctx, "a/b", "", "")
	require.NoError(t, err)
	require.Equal(t, want, got)
	_, err = gs.Update(ctx, "a/c", base+"/nothing", "")
	require.ErrorIs(t, err, ErrRemoteNotFound)
}

func TestSSH(t *testing.T) {
	if _, err := exec.LookPath("sshd"); err != nil {
		if _, err := os.Stat("/usr/sbin/sshd"); err != nil {
			t.Skip("sshd is not installed")
		}
	}
	sshTest(t)
}

func TestNobodyListens(t *testing.T) {
	ctx, gs := deadline(t), newServer(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())
	for _, scheme := range []string{"http", "git"} {
		_, err = gs.Update(ctx, "a/b", scheme+"://"+addr+"/x", "")
		require.ErrorIs(t, err, ErrRemoteFailed)
	}
}

// groups are the process groups of gits that run now.
func (s *server) groups() []int {
	s.store.git.mu.Lock()
	defer s.store.git.mu.Unlock()
	var all []int
	for pid := range s.store.git.running {
		all = append(all, pid)
	}
	return all
}

// requireGone waits until no process of the groups runs. A helper whose parent died is a zombie until some init reaps it: that is gone enough.
func requireGone(t *testing.T, groups []int) {
	t.Helper()
	require.NotEmpty(t, groups)
	for _, g := range groups {
		require.Eventually(t, func() bool { return len(alive(t, g)) == 0 }, 30*time.Second, 5*time.Millisecond, "process group %d", g)
	}
}

func alive(t *testing.T, group int) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	var all []string
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // gone meanwhile
		}
		_, rest, _ := strings.Cut(string(data), ") ") // state, parent, group
		if f := strings.Fields(rest); len(f) > 2 && f[0] != "Z" && f[0] != "X" && f[2] == strconv.Itoa(group) {
			all = append(all, string(data))
		}
	}
	return all
}

func TestCloneInProgressJoinAndRemove(t *testing.T) {
	ctx, gs := deadline(t), newServer(t)
	addr, accepted := mute(t)
	var joined sync.WaitGroup
	errs := make([]error, 3)
	for i := range errs {
		joined.Go(func() { _, errs[i] = gs.Update(ctx, "a/b", "git://"+addr+"/x", "") })
	}
	<-accepted
	_, err := gs.Resolve(ctx, "a/b", "", "")
	require.ErrorIs(t, err, ErrCloneInProgress)
	status, err := gs.Status(ctx, "a/b")
	require.NoError(t, err)
	require.True(t, status.Cloning)
	require.False(t, status.Cloned)
	groups := gs.groups()
	require.Len(t, groups, 1, "one clone for all three")
	require.NoError(t, gs.Remove(ctx, "a/b"))
	joined.Wait()
	for _, err := range errs {
		require.ErrorIs(t, err, ErrStopped)
	}
	requireGone(t, groups)
	requireNoTemporaries(t, gs)
	_, err = gs.Resolve(ctx, "a/b", "", "")
	require.ErrorIs(t, err, ErrNotCloned)
}

func TestUpdateGoesOnWhenTheCallerLeaves(t *testing.T) {
	gs, src := newServer(t), newSource(t)
	src.commit(map[string]string{"a": "b"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := gs.store.Update(ctx, "a/b", src.url(), "")
	require.ErrorIs(t, err, context.Canceled)
	_, err = gs.Update(deadline(t), "a/b", src.url(), "")
	require.NoError(t, err)
}

func TestCloseEndsClonesAndLeavesNothing(t *testing.T) {
	ctx, gs := deadline(t), newServer(t)
	addr, accepted := mute(t)
	failed := make(chan error, 1)
	go func() { _, err := gs.Update(ctx, "a/b", "http://"+addr+"/x", ""); failed <- err }()
	<-accepted
	groups := gs.groups()
	require.NoError(t, gs.close())
	require.ErrorIs(t, <-failed, ErrStopped)
	requireGone(t, groups)
	requireNoTemporaries(t, gs)
	_, err := gs.Update(ctx, "a/b", "http://"+addr+"/x", "")
	require.ErrorIs(t, err, ErrStopped)
}

func TestStalledCloneEnds(t *testing.T) {
	ctx, gs := deadline(t), newServer(t)
	gs.store.limits.Stall = 200 * time.Millisecond
	addr, _ := mute(t)
	_, err := gs.Update(ctx, "a/b", "git://"+addr+"/x", "")
	require.ErrorIs(t, err, ErrTimeout)
	require.ErrorContains(t, err, "no progress")
	requireNoTemporaries(t, gs)
}

// A caller who leaves in the middle of an archive leaves no git behind.
func TestArchiveEndsWithItsReader(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	commit := src.commit(map[string]string{"big": strings.Repeat("0123456789abcdef", 4<<20)})
	_, err := gs.Update(ctx, "a/b", src.url(), "")
	require.NoError(t, err)
	body, err := gs.Archive(ctx, "a/b", commit)
	require.NoError(t, err)
	_, err = body.Read(make([]byte, 1000))
	require.NoError(t, err)
	require.NoError(t, body.Close())
	require.Eventually(t, func() bool { return len(gs.groups()) == 0 }, 30*time.Second, 10*time.Millisecond)
}

func TestSecondServerOnTheSameDirectory(t *testing.T) {
	gs := newServer(t)
	_, err := Open(gs.root, DefaultLimits(), gs.store.log)
	var locked *Locked
	require.ErrorAs(t, err, &locked)
	require.Contains(t, locked.Error(), strconv.Itoa(os.Getpid()))
}

func TestWrongShardIsRefused(t *testing.T) {
	gs := newServer(t)
	url := serveHTTP(t, Handler(gs.store, "gitserver-7:3178"))
	c := NewClient(func() []string { return []string{strings.TrimPrefix(url, "http://")} }, nil)
	_, err := c.Resolve(t.Context(), "a/b", "", "")
	require.ErrorIs(t, err, ErrWrongShard)
	resp, err := http.Get(url + "/ping")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	resp, err = http.Get(url + "/healthz")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusNotFound, resp.StatusCode, "as the real one")
}

func TestDiskFull(t *testing.T) {
	root := t.TempDir()
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(root, syscall.MNT_DETACH)) })
	gs, src := newServerAt(t, root), newSource(t)
	noise, err := os.Open("/dev/urandom")
	require.NoError(t, err)
	defer noise.Close()
	data := make([]byte, 3<<20)
	_, err = noise.Read(data)
	require.NoError(t, err)
	src.commit(map[string]string{"noise": string(data)})
	_, err = gs.Update(deadline(t), "a/b", src.url(), "")
	require.ErrorIs(t, err, ErrDiskFull)
	requireNoTemporaries(t, gs)
	small := newSource(t)
	small.commit(map[string]string{"a": "b"})
	_, err = gs.Update(deadline(t), "a/small", small.url(), "")
	require.NoError(t, err, "and the next small one fits")
}
