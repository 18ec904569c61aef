package api

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryCallReachesTheBackend(t *testing.T) {
	f := &fake{}
	c := Dial(serve(t, f), "sourcegraph test")
	defer c.Close()
	ctx := t.Context()

	st, err := c.Status(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, "demo-1.0.0", st.Appliance.Release)
	require.NotEmpty(t, st.Appliance.SetupURL, "our own uid sees it")
	for _, do := range []func(context.Context, []string) (Operation, error){c.Start, c.Stop, c.Restart} {
		op, err := do(ctx, []string{"gitserver/1", "frontend"})
		require.NoError(t, err)
		require.Equal(t, []string{"gitserver/1", "frontend"}, op.Affected)
	}
	change, err := c.Reload(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"worker"}, change.Restarted)
	chain, err := c.Why(ctx, "worker")
	require.NoError(t, err)
	require.Equal(t, []Link{{Service: "worker", State: Backoff}}, chain)
	spec, err := c.ExecSpec(ctx, "postgres")
	require.NoError(t, err)
	require.Equal(t, "/postgres", spec.Dir)
	conf, err := c.Config(ctx)
	require.NoError(t, err)
	require.JSONEq(t, `{"a":"b"}`, string(conf))
	require.NoError(t, c.Shutdown(ctx))

	calls, peers := f.noted()
	require.Equal(t, []string{"start", "stop", "restart", "reload", "exec-spec", "shutdown"}, calls)
	for _, p := range peers {
		require.Equal(t, Peer{UID: os.Getuid(), PID: os.Getpid(), Command: "sourcegraph test"}, p)
	}
}

func TestExtraHandlersAndUnknownPaths(t *testing.T) {
	c := Dial(serve(t, &fake{}), "")
	defer c.Close()
	resp, err := c.http.Get("http://appliance/metrics")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
	require.ErrorContains(t, c.call(t.Context(), "GET", "nonsense", nil, nil), "there is no GET /v1/nonsense")
	require.ErrorContains(t, c.call(t.Context(), "GET", "stop", nil, nil), "there is no GET /v1/stop", "a change is never a GET")
}

// coded is an error as other packages make them.
type coded struct{}

func (coded) Error() string { return "taken" }
func (coded) ExitCode() int { return 6 }
func (coded) Hint() string  { return "give it back" }

func TestErrorsKeepCodeAndRemedy(t *testing.T) {
	f := &fake{err: coded{}}
	c := Dial(serve(t, f), "")
	defer c.Close()
	_, err := c.Stop(t.Context(), nil)
	require.Equal(t, &Error{Code: 6, Message: "taken", Remedy: "give it back"}, err)
	f.err = errors.New("plain")
	_, err = c.Config(t.Context())
	require.Equal(t, &Error{Code: 1, Message: "plain"}, err)
}

func TestCallerThatGoesEndsOnlyItsWaiting(t *testing.T) {
	f := &fake{waits: make(chan struct{}), began: make(chan struct{}), gone: make(chan error, 1)}
	c := Dial(serve(t, f), "")
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-f.began // the operation is under way
		cancel()
	}()
	_, err := c.Restart(ctx, []string{"frontend"})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, <-f.gone, context.Canceled, "the backend hears of it")
}

func TestE59ShutdownAnswersBeforeItActs(t *testing.T) {
	f := &fake{down: make(chan struct{})}
	c := Dial(serve(t, f), "")
	defer c.Close()
	require.NoError(t, c.Shutdown(t.Context()), "answered while the backend has not returned")
	close(f.down)
}

func TestNobodyThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	_, err := Dial(path, "").Status(t.Context(), nil)
	requireNobody(t, err, path)

	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	_, err = Dial(path, "").Status(t.Context(), nil)
	requireNobody(t, err, path) // a socket that a killed supervisor left
}

func requireNobody(t *testing.T, err error, path string) {
	t.Helper()
	var none *NoAppliance
	require.ErrorAs(t, err, &none)
	require.Equal(t, 7, none.ExitCode())
	require.EqualError(t, err, "no appliance answers at "+path)
	require.Contains(t, none.Hint(), "sourcegraph run")
}

func TestSupervisorThatGoesAwayIsNotNobody(t *testing.T) {
	f := &fake{waits: make(chan struct{}), began: make(chan struct{}), gone: make(chan error, 1)}
	l, err := Listen(filepath.Join(t.TempDir(), "admin.sock"))
	require.NoError(t, err)
	end := serveOn(t, l, f)
	c := Dial(l.Addr().String(), "")
	defer c.Close()
	go func() {
		<-f.began
		_ = end() // what the client sees is the test
	}()
	_, err = c.Stop(t.Context(), nil)
	var broken *Broken
	require.ErrorAs(t, err, &broken)
	require.Equal(t, 5, broken.ExitCode())
}

func TestListenReplacesOnlyAStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	first, err := Listen(path)
	require.NoError(t, err)
	_, err = Listen(path)
	require.Equal(t, 6, AsError(err).Code)
	require.ErrorContains(t, err, "already answers there")
	require.NoError(t, first.Close())
	require.FileExists(t, path, "closing leaves the file, which may be another's by now")
	second, err := Listen(path)
	require.NoError(t, err)
	require.NoError(t, second.Close())
	_, err = Listen(filepath.Join(t.TempDir(), "missing", "admin.sock"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestCommandIsBoundedAndPrintable(t *testing.T) {
	require.Equal(t, "stop?x", printable("stop\nx"))
	require.Equal(t, "a?[31mb", printable("a\x1b[31mb"))
	require.Equal(t, "a?b", printable("a\xffb"))
	require.LessOrEqual(t, len(printable(string(make([]byte, 10_000)))), maxCommand+len("…"))
}
