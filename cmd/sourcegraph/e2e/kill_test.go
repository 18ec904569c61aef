package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// counter writes numbered lines, so that a lost one is seen.
const counter = `counter:
  command: [/bin/sh, -c, 'i=0; while :; do i=$((i+1)); echo "line $i"; sleep 0.005; done']
`

// TestKillUnderLoad kills each process of the appliance in turn, under searches.
func TestKillUnderLoad(t *testing.T) {
	a := install(t)
	a.dropIn("counter", counter)
	needles := a.stock()
	const query = "needle count:all"

	a.step(t, "stage 1: no failed request, no restarted service, no lost line", func(t *testing.T) {
		before, services := a.status()
		l := a.under(query, needles)
		for range 3 {
			l.more(10)
			old, _ := a.status()
			a.kill(old.PID)
			require.True(t, a.eventually(func() bool {
				st, err := a.client.Status(context.Background(), nil)
				return err == nil && st.Appliance.PID != old.PID && st.Appliance.Ready
			}))
		}
		all := l.end()
		require.Empty(t, failed(all), describe(failed(all)))
		after, now := a.status()
		require.Equal(t, before.DoorPID, after.DoorPID)
		require.Equal(t, before.Stage0PID, after.Stage0PID)
		for name, s := range services {
			require.Equal(t, []any{s.PID, s.Run, s.Restarts, s.State}, []any{now[name].PID, now[name].Run, now[name].Restarts, now[name].State}, name)
		}
		a.requireEveryLine("counter", services["counter"].Run)
		t.Logf("3 kills of stage 1: %d searches, slowest %s", len(all), slowest(all).Round(time.Millisecond))
	})

	for _, name := range []string{"frontend", "gitserver", "searcher", "worker", "postgres", "redis-cache", "redis-store"} {
		a.step(t, name, func(t *testing.T) {
			l := a.under(query, needles)
			var r recovery
			for range rounds {
				l.more(10)
				old := a.settled(name)
				begin := time.Now()
				a.kill(old.PID)
				s := a.until(name, func(s api.Service) bool { return s.State == api.Ready && s.Run > old.Run })
				r.up = append(r.up, time.Since(begin))
				a.answers(query, needles)
				r.exact = append(r.exact, time.Since(begin))
				a.ready()
				r.whole = append(r.whole, time.Since(begin))
				require.Equal(t, "KILL", s.LastExit.Signal)
				require.Equal(t, api.CauseSignal, s.LastExit.Cause)
			}
			l.more(10)
			r.log(t, name, l.end())
			require.Equal(t, "root", a.whoami())
		})
	}

	a.step(t, "the door", func(t *testing.T) {
		_, services := a.status()
		l := a.under(query, needles)
		var r recovery
		for range rounds {
			l.more(10)
			before, _ := a.status()
			l.more(20)
			begin := time.Now()
			a.kill(before.DoorPID)
			a.answers(query, needles)
			r.exact = append(r.exact, time.Since(begin))
			a.ready()
			r.whole = append(r.whole, time.Since(begin))
			after, _ := a.status()
			require.NotEqual(t, before.DoorPID, after.DoorPID)
		}
		l.more(10)
		r.log(t, "door", l.end())
		_, now := a.status()
		for name, s := range services {
			require.Equal(t, s.PID, now[name].PID, name)
		}
	})

	a.step(t, "restart of the frontend fails no request", func(t *testing.T) {
		l := a.under(query, needles)
		for range rounds {
			l.more(10)
			op, err := a.client.Restart(context.Background(), []string{"frontend"})
			require.NoError(t, err)
			require.Empty(t, op.NotReady)
			require.Empty(t, op.Killed)
		}
		l.more(10)
		all := l.end()
		require.Empty(t, failed(all), describe(failed(all)))
		t.Logf("3 restarts of the frontend: %d searches, slowest %s", len(all), ms(slowest(all)))
	})
	require.Equal(t, 0, a.stop(), a.out)
}

// rounds is how often each process is killed.
const rounds = 3

// settled waits until a service has been ready for so long that its end starts it again at once.
func (a *appliance) settled(name string) api.Service {
	a.t.Helper()
	return a.until(name, func(s api.Service) bool {
		return s.State == api.Ready && time.Since(s.Since.Time) > 1200*time.Millisecond
	})
}

// recovery is how long it took from each kill.
type recovery struct {
	up    []time.Duration // until the service was ready again
	exact []time.Duration // until a search gave the exact count
	whole []time.Duration // until everything was ready
}

func (r *recovery) log(t *testing.T, name string, all []outcome) {
	t.Logf("RECOVERY of %-12s worst of %d: ready %s, exact answer %s, all ready %s; %d searches, slowest %s, %s",
		name, len(r.exact), worst(r.up), worst(r.exact), worst(r.whole), len(all), ms(slowest(all)), describe(failed(all)))
}

func worst(list []time.Duration) string {
	if len(list) == 0 {
		return "-"
	}
	return ms(slices.Max(list))
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// requireEveryLine reads a counter's log to where it is now; a line may stand there twice, and none may be missing.
func (a *appliance) requireEveryLine(service string, run uint64) {
	a.t.Helper()
	seen := map[int]bool{}
	last := 0
	for line, err := range a.client.Logs(context.Background(), api.LogQuery{Services: []string{service}}) {
		require.NoError(a.t, err)
		require.Equal(a.t, run, line.Run)
		var n int
		_, err := fmt.Sscanf(line.Text, "line %d", &n)
		require.NoError(a.t, err, line.Text)
		seen[n], last = true, max(last, n)
	}
	require.Greater(a.t, last, 100)
	require.Len(a.t, seen, last, "lines are missing")
}
