package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// TestWhatIsElsewhereOutlivesTheSupervisor: the next one asks it anew, restarts nobody for it, sees what happened to it meanwhile, and keeps a
// person's stop of it.
func TestWhatIsElsewhereOutlivesTheSupervisor(t *testing.T) {
	server, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server in PATH")
	}
	a := install(t)
	host, port, err := net.SplitHostPort(freeAddr(t))
	require.NoError(t, err)
	a.top = fmt.Sprintf("redis: {cache: {host: %s, port: %s}}\n", host, port)
	a.configureAll(nil)
	redis := func() (end func()) {
		cmd := exec.Command(server, "--bind", host, "--port", port, "--save", "", "--dir", t.TempDir())
		require.NoError(t, cmd.Start())
		return func() {
			_ = cmd.Process.Kill() // it may have ended
			_ = cmd.Wait()
		}
	}
	end := redis()
	defer func() { end() }()
	a.up()

	// away is the death of a supervisor, and what happens until the next one.
	away := func(meanwhile func()) {
		t.Helper()
		now, _ := a.status()
		require.NoError(t, a.cmd.Process.Signal(syscall.SIGSTOP)) // no next one for now
		a.kill(now.PID)
		meanwhile()
		require.NoError(t, a.cmd.Process.Signal(syscall.SIGCONT))
		require.True(t, a.eventually(func() bool {
			st, err := a.client.Status(context.Background(), nil)
			return err == nil && st.Appliance.PID != now.PID
		}), a.out)
	}
	_, before := a.status()
	require.Equal(t, "external", before["redis-cache"].Kind)
	away(func() {})
	a.ready()
	_, after := a.status()
	for name, s := range before {
		require.Equal(t, s.PID, after[name].PID, name)
	}

	away(end)
	gone := a.until("redis-cache", func(s api.Service) bool { return s.State == api.Starting && s.Reason != "" })
	require.Contains(t, gone.Reason, port)
	end = redis()
	a.ready()

	_, err = a.client.Stop(context.Background(), []string{"redis-cache"})
	require.NoError(t, err)
	away(func() {})
	stopped := a.until("redis-cache", func(s api.Service) bool { return s.State == api.Stopped })
	require.False(t, stopped.Wanted)
	require.NotEmpty(t, stopped.StoppedBy)
	_, err = a.client.Start(context.Background(), []string{"redis-cache"})
	require.NoError(t, err)
	a.ready()
	require.Equal(t, 0, a.stop(), a.out)
}
