package gitserver

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// server is a real store behind a real HTTP server, with the client that the other services use.
type server struct {
	*Client
	store *Store
	root  string
	log   *bytes.Buffer
	close func() error // once; the end of the test does it otherwise
}

func newServer(t *testing.T) *server {
	t.Helper()
	return newServerAt(t, filepath.Join(t.TempDir(), "repos"))
}

func newServerAt(t *testing.T, root string) *server {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	var log bytes.Buffer
	store, err := Open(root, DefaultLimits(), slog.New(slog.NewTextHandler(&lockedWriter{w: &log}, nil)))
	require.NoError(t, err)
	closeOnce := sync.OnceValue(store.Close)
	t.Cleanup(func() { require.NoError(t, closeOnce()) })
	web := httptest.NewServer(Handler(store, ""))
	t.Cleanup(web.Close)
	addr := web.Listener.Addr().String()
	return &server{Client: NewClient(func() []string { return []string{addr} }, nil), store: store, root: root, log: &log, close: closeOnce}
}

// source is a repository to clone from.
type source struct {
	t   *testing.T
	dir string
}

func newSource(t *testing.T) *source {
	t.Helper()
	s := &source{t: t, dir: filepath.Join(t.TempDir(), "source")}
	require.NoError(t, os.Mkdir(s.dir, 0o755))
	s.git("init", "-q", "-b", "main")
	return s
}

func (s *source) url() string { return "file://" + s.dir }

func (s *source) git(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.org",
		"GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.org")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(s.t, err, "git %v: %s", args, &stderr)
	return string(bytes.TrimSpace(out))
}

// commit writes files and commits them; it gives the commit.
func (s *source) commit(files map[string]string) string {
	s.t.Helper()
	for name, content := range files {
		path := filepath.Join(s.dir, name)
		require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(s.t, os.WriteFile(path, []byte(content), 0o644))
	}
	s.git("add", "-A")
	s.git("commit", "-q", "--allow-empty", "-m", "change")
	return s.git("rev-parse", "HEAD")
}

// lockedWriter lets a test read the log after the server stopped writing to it; slog writes one record at a time anyway.
type lockedWriter struct{ w *bytes.Buffer }

func (l *lockedWriter) Write(p []byte) (int, error) { return l.w.Write(p) }

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// mute accepts connections and never says anything; accepted tells when the first one came.
func mute(t *testing.T) (addr string, accepted <-chan struct{}) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	came := make(chan struct{})
	var conns []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			if conns = append(conns, c); len(conns) == 1 {
				close(came)
			}
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
		for _, c := range conns {
			c.Close()
		}
	})
	return ln.Addr().String(), came
}

func serveHTTP(t *testing.T, h http.Handler) string {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	return web.URL
}
