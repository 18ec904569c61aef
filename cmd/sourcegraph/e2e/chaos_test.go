package e2e_test

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// chaosTime is how long faults happen at random in an ordinary run of the tests.
const chaosTime = 60 * time.Second

func chaosFor(t *testing.T) time.Duration {
	text := os.Getenv("E2E_CHAOS")
	if text == "" {
		if testing.Short() {
			return chaosTime / 6
		}
		return chaosTime
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "E2E_CHAOS=%q", text)
	return d
}

func chaosSeed(t *testing.T) uint64 {
	text := os.Getenv("E2E_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "E2E_SEED=%q", text)
	return seed
}

// TestChaos kills, stops, starts, restarts, freezes and reloads at random under searches. A wrong count is never right; in the end all is as it was.
func TestChaos(t *testing.T) {
	a, needles := stocked(t)
	a.noteCgroup()
	seed := chaosSeed(t)
	t.Logf("E2E_SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	before, _ := a.status()
	l := a.under("needle count:all", needles)

	var stopped []string
	done := map[string]int{}
	for end := time.Now().Add(chaosFor(t)); time.Now().Before(end); {
		what := a.anything(rnd, &stopped)
		done[what]++
		l.more(1 + rnd.IntN(20)) // paced by the product: held requests hold us
	}
	if len(stopped) > 0 {
		a.do(func(ctx context.Context) error {
			_, err := a.client.Start(ctx, stopped)
			return err
		})
	}
	a.ready()
	a.answers("needle count:all", needles)
	all := l.end()
	for _, o := range failed(all) {
		require.NotContains(t, o.err.Error(), "matches, want", "a wrong count")
	}
	t.Logf("did %v; %d searches, slowest %s, %s", done, len(all), ms(slowest(all)), describe(failed(all)))

	require.Equal(t, "root", a.whoami())
	require.Len(t, a.mirrors(), 2)
	after, services := a.status()
	require.Equal(t, before.Stage0PID, after.Stage0PID)
	for name, s := range services {
		require.True(t, s.Wanted, name)
		require.Equal(t, api.Ready, s.State, name)
	}
	a.requireOneProcessEach(services)
	require.Equal(t, 0, a.stop(), a.out)
	a.requireNothingLeft()
}

// anything does one thing at random and names it. What it hits may be gone already: then it does nothing.
func (a *appliance) anything(rnd *rand.Rand, stopped *[]string) string {
	a.t.Helper()
	names := []string{"frontend", "gitserver", "searcher", "worker", "postgres", "redis-cache", "redis-store"}
	name := names[rnd.IntN(len(names))]
	var st api.Status
	a.do(func(ctx context.Context) (err error) {
		st, err = a.client.Status(ctx, nil)
		return err
	})
	pid := 0
	for _, s := range st.Services {
		if s.Name == name {
			pid = s.PID
		}
	}
	signal := func(pid int, s syscall.Signal) {
		if pid > 1 {
			_ = syscall.Kill(pid, s) // it may have died just now
		}
	}
	switch dice := rnd.IntN(20); {
	case len(*stopped) > 0 && dice%3 == 0:
		a.do(func(ctx context.Context) error {
			_, err := a.client.Start(ctx, *stopped)
			return err
		})
		*stopped = nil
		return "start"
	case dice < 9:
		signal(pid, syscall.SIGKILL)
		return "kill " + name
	case dice < 12:
		signal(st.Appliance.PID, syscall.SIGKILL)
		return "kill stage 1"
	case dice < 13:
		signal(st.Appliance.DoorPID, syscall.SIGKILL)
		return "kill door"
	case dice < 14 && name == "postgres": // whose TERM waits for sessions as long as they last, which those of a pool do
		signal(pid, syscall.SIGINT)
		return "INT " + name
	case dice < 14:
		signal(pid, syscall.SIGTERM)
		return "TERM " + name
	case dice < 15:
		signal(a.cmd.Process.Pid, syscall.SIGHUP)
		return "HUP"
	case dice < 17:
		a.try(func(ctx context.Context) error {
			_, err := a.client.Restart(ctx, []string{name})
			return err
		})
		return "restart " + name
	case dice < 19:
		name = []string{"worker", "searcher", "gitserver"}[rnd.IntN(3)]
		if a.try(func(ctx context.Context) error {
			_, err := a.client.Stop(ctx, []string{name})
			return err
		}); !slices.Contains(*stopped, name) {
			*stopped = append(*stopped, name)
		}
		return "stop " + name
	default:
		signal(pid, syscall.SIGSTOP)
		signal(pid, syscall.SIGKILL)
		return "freeze and kill " + name
	}
}

// do asks the supervisor until it answers: it may just have been killed.
func (a *appliance) do(ask func(context.Context) error) {
	a.t.Helper()
	var err error
	require.True(a.t, a.eventually(func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), enough)
		defer cancel()
		err = ask(ctx)
		return err == nil
	}), "%v\n%s", &err, a.out)
}

// try asks once; the order stands even when the supervisor dies over it, or not.
func (a *appliance) try(ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	defer cancel()
	return ask(ctx)
}

// requireOneProcessEach says that no service runs twice.
func (a *appliance) requireOneProcessEach(services map[string]api.Service) {
	a.t.Helper()
	mine := map[string][]int{}
	for pid, line := range a.living() {
		for _, name := range []string{"frontend", "gitserver", "searcher", "worker"} {
			if line == services[name].Program+" " || line == name+" " {
				mine[name] = append(mine[name], pid)
			}
		}
	}
	for name, pids := range mine {
		require.Equal(a.t, []int{services[name].PID}, pids, name)
	}
}
