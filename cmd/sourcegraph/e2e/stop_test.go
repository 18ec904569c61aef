package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// logOf gives what a service has written into its present file.
func (a *appliance) logOf(service string) string {
	a.t.Helper()
	text, err := os.ReadFile(filepath.Join(a.logDir(service), "current"))
	require.NoError(a.t, err)
	return string(text)
}

func (a *appliance) logDir(service string) string {
	a.t.Helper()
	found, err := filepath.Glob(filepath.Join(a.data(), "logs", service+"*"))
	require.NoError(a.t, err)
	require.Len(a.t, found, 1, service)
	return found[0]
}

// TestStopAndStart keeps everything that users made, over an ordered stop and over a kill of stage 0.
func TestStopAndStart(t *testing.T) {
	t.Parallel()
	a, needles := stocked(t)
	a.noteCgroup()

	a.step(t, "an ordered stop is clean for PostgreSQL, and the next start recovers nothing", func(t *testing.T) {
		require.Equal(t, 0, a.stop(), a.out)
		a.requireNothingLeft()
		before := a.logOf("postgres")
		require.Contains(t, before, "database system is shut down")
		a.up()
		after := strings.TrimPrefix(a.logOf("postgres"), before)
		require.Contains(t, after, "database system was shut down at")
		require.NotContains(t, after, "not properly shut down")
		require.NotContains(t, after, "automatic recovery")
		require.Equal(t, "root", a.whoami())
		require.NoError(t, a.finds("needle count:all", needles))
	})

	a.step(t, "kill -9 of stage 0 stops everything in order, and the next run is clean", func(t *testing.T) {
		before := a.logOf("postgres")
		st, _ := a.status()
		require.Equal(t, a.cmd.Process.Pid, st.Stage0PID)
		a.kill(st.Stage0PID)
		a.exit()
		a.requireNothingLeft()
		require.Contains(t, strings.TrimPrefix(a.logOf("postgres"), before), "database system is shut down")
		a.up()
		require.Equal(t, "root", a.whoami())
		require.NoError(t, a.finds("needle count:all", needles))
	})

	a.step(t, "kill -9 of stages 0 and 1: the next run ends what is left and starts", func(t *testing.T) {
		st, services := a.status()
		require.NoError(t, syscall.Kill(st.Stage0PID, syscall.SIGSTOP)) // so that it starts no other stage 1
		a.kill(st.PID)
		a.kill(st.Stage0PID)
		a.exit()
		require.NotEmpty(t, a.living())
		a.up()
		_, now := a.status()
		for name, s := range services {
			require.True(t, s.PID == 0 || s.PID != now[name].PID, name)
			if s.PID > 0 {
				require.NotContains(t, a.living(), s.PID, name)
			}
		}
		require.Equal(t, "root", a.whoami())
		require.NoError(t, a.finds("needle count:all", needles))
	})

	a.step(t, "a leftover postmaster.pid does not hinder", func(t *testing.T) {
		require.Equal(t, 0, a.stop(), a.out)
		dir := a.postgresDir()
		info, err := os.Stat(filepath.Join(dir, "PG_VERSION"))
		require.NoError(t, err)
		file := filepath.Join(dir, "postmaster.pid")
		// Our own pid is alive and no PostgreSQL: what a rebooted machine may have.
		require.NoError(t, os.WriteFile(file, []byte("1\n"+dir+"\n1700000000\n5432\n/tmp\n127.0.0.1\n  5432001         1\nready\n"), 0o600))
		owner := info.Sys().(*syscall.Stat_t)
		require.NoError(t, os.Chown(file, int(owner.Uid), int(owner.Gid)))
		a.up()
		require.NoError(t, a.finds("needle count:all", needles))
	})

	a.step(t, "a data directory of another major is refused by name", func(t *testing.T) {
		require.Equal(t, 0, a.stop(), a.out)
		file := filepath.Join(a.postgresDir(), "PG_VERSION")
		right, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, []byte("9.6\n"), 0o600))
		a.start()
		s := a.until("postgres", func(s api.Service) bool { return s.State == api.Failed })
		require.Contains(t, s.Reason, "9.6")
		require.Contains(t, s.Reason, strings.TrimSpace(string(right)))
		require.NotNil(t, s.LastExit)
		require.Equal(t, api.CauseConfig, s.LastExit.Cause)
		require.Equal(t, api.Waiting, a.service("frontend").State)
		require.Equal(t, 0, a.stop(), a.out)
		require.NoError(t, os.WriteFile(file, right, 0o600))
		a.up()
		require.NoError(t, a.finds("needle count:all", needles))
		require.Equal(t, "root", a.whoami())
	})
	require.Equal(t, 0, a.stop(), a.out)
	a.requireNothingLeft()
}

func (a *appliance) postgresDir() string {
	a.t.Helper()
	found, err := filepath.Glob(filepath.Join(a.data(), "data", "gen-*", "postgres", "pgdata", "PG_VERSION"))
	require.NoError(a.t, err)
	require.Len(a.t, found, 1)
	return filepath.Dir(found[0])
}
