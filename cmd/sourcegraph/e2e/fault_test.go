package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// reload makes the appliance read its configuration.
func (a *appliance) reload() {
	a.t.Helper()
	_, err := a.client.Reload(context.Background())
	require.NoError(a.t, err)
}

// TestMisbehaviour lets one service after the other go wrong, by the demo's switches and by signals; the product must be whole afterwards.
func TestMisbehaviour(t *testing.T) {
	a := install(t)
	a.configure("frontend", "env: {DEMO_SLOW_START: 2s}")
	a.start()
	a.step(t, "a slow start shows as starting, and what needs it waits", func(t *testing.T) {
		a.until("frontend", func(s api.Service) bool { return s.State == api.Starting })
		waiting := a.service("worker")
		require.Equal(t, api.Waiting, waiting.State)
		require.Contains(t, waiting.WaitingFor, "frontend")
		a.ready()
	})
	a.configureAll(nil)
	a.reload()
	needles := a.stockRunning()
	const query = "needle count:all"
	whole := func() {
		a.t.Helper()
		a.configureAll(nil)
		a.reload()
		a.ready()
		a.answers(query, needles)
	}

	for _, name := range []string{"searcher", "gitserver", "frontend"} {
		a.step(t, "E6 a stopped "+name+" is found by its liveness and replaced", func(t *testing.T) {
			a.configure(name, "live: {http: /healthz, port: debug, every: 200ms, timeout: 300ms, failures: 2}")
			a.reload()
			a.ready()
			old := a.service(name)
			begin := time.Now()
			require.NoError(t, syscall.Kill(old.PID, syscall.SIGSTOP))
			s := a.until(name, func(s api.Service) bool { return s.State == api.Ready && s.Run > old.Run })
			require.Equal(t, api.CauseLiveness, s.LastExit.Cause)
			require.Contains(t, a.history(name), "no answer within 300ms", "the probe that the reload brought")
			a.answers(query, needles)
			t.Logf("RECOVERY of a stopped %s: %s (probed every 200 ms)", name, ms(time.Since(begin)))
			whole()
		})
	}

	a.step(t, "E41 a leak meets its budget and is told from a crash", func(t *testing.T) {
		st, _ := a.status()
		if st.Grade.Limits == "soft" {
			t.Skip("no cgroups here that limit memory")
		}
		a.configure("worker", "env: {DEMO_LEAK_MB_PER_S: 400}", "budget: {memory: 96MiB}")
		a.reload()
		s := a.until("worker", func(s api.Service) bool { return s.State == api.Backoff && s.LastExit.Cause == api.CauseOOM })
		require.Equal(t, "KILL", s.LastExit.Signal)
		chain, err := a.client.Why(context.Background(), "worker")
		require.NoError(t, err)
		require.Contains(t, strings.ToLower(fmt.Sprint(chain)), "memory")
		require.NoError(t, a.finds(query, needles), "the others do not notice")
		whole()
	})

	a.step(t, "a crash backs off and comes back", func(t *testing.T) {
		a.configure("searcher", "env: {DEMO_CRASH_AFTER: 300ms}")
		a.reload()
		s := a.until("searcher", func(s api.Service) bool { return s.Restarts >= 3 && s.State == api.Backoff })
		require.Equal(t, api.Exit{At: s.LastExit.At, Cause: api.CauseExit, Code: 2}, *s.LastExit)
		whole()
	})

	a.step(t, "a hang is found", func(t *testing.T) {
		a.configure("worker", "env: {DEMO_HANG_AFTER: 500ms}", "live: {http: /healthz, port: http, every: 200ms, timeout: 300ms, failures: 2}")
		a.reload()
		a.until("worker", func(s api.Service) bool { return s.LastExit != nil && s.LastExit.Cause == api.CauseLiveness })
		whole()
	})

	a.step(t, "E1 helpers that left session and parent are gone after a stop", func(t *testing.T) {
		a.configure("worker", "env: {DEMO_FORK_ESCAPE: 3}")
		a.reload()
		a.ready()
		var helpers []int
		require.True(t, a.eventually(func() bool {
			helpers = nil
			for pid, line := range a.living() {
				if strings.HasPrefix(line, "demo-escape-helper") {
					helpers = append(helpers, pid)
				}
			}
			return len(helpers) == 3
		}), "helpers: %v", &helpers)
		op, err := a.client.Stop(context.Background(), []string{"worker"})
		require.NoError(t, err)
		require.Equal(t, []string{"worker"}, op.Killed, "they ignore TERM")
		for _, pid := range helpers {
			require.True(t, gone(pid), "helper %d", pid)
		}
		_, err = a.client.Start(context.Background(), []string{"worker"})
		require.NoError(t, err)
		whole()
	})

	a.step(t, "a flood of log lines holds nobody up and fills no disk", func(t *testing.T) {
		a.configure("worker", "env: {DEMO_LOG_LINES_PER_S: 20000}", "log: {max_size: 1MiB, keep: 2}")
		a.reload()
		a.ready()
		l := a.under(query, needles)
		l.more(40)
		all := l.end()
		require.Empty(t, failed(all), describe(failed(all)))
		require.True(t, a.eventually(func() bool { return a.rotated("worker") >= 2 }))
		require.LessOrEqual(t, a.rotated("worker"), 3)
		whole()
	})
	require.Equal(t, 0, a.stop(), a.out)
}

// history is all that the events of a service say.
func (a *appliance) history(service string) string {
	a.t.Helper()
	var text strings.Builder
	for e, err := range a.client.Events(context.Background(), api.EventQuery{Services: []string{service}}) {
		require.NoError(a.t, err)
		fmt.Fprintln(&text, e.Kind, e.To, e.Cause, e.Message, e.Evidence)
	}
	return text.String()
}

// gone says that a process is dead, reaped or not.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// rotated counts the closed log files of a service.
func (a *appliance) rotated(service string) int {
	entries, err := os.ReadDir(a.logDir(service))
	require.NoError(a.t, err)
	n := 0
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "@") {
			n++
		}
	}
	return n
}
