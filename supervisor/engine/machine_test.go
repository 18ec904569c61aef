package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
)

var allStates = []api.State{
	api.Waiting, api.Starting, api.Ready, api.Degraded, api.Stopping, api.Stopped, api.Backoff, api.Failed, api.Unkillable,
}

// TestEveryPairOfStateAndEvent walks the table pair by pair: a legal move stays within the states, an illegal one is refused and
// changes nothing (E8, E9, E58).
func TestEveryPairOfStateAndEvent(t *testing.T) {
	reached := map[api.State]bool{}
	for _, in := range allStates {
		for ev := StartWanted; ev < nothing; ev++ {
			mv, err := next(in, ev)
			if err != nil {
				require.True(t, IsRefused(err))
				require.Equal(t, in, mv.to)
				require.Equal(t, stay, mv.do)
				continue
			}
			require.Contains(t, allStates, mv.to)
			reached[mv.to] = true
		}
		if in != api.Stopping && in != api.Unkillable {
			for _, dead := range []Kind{DeadAsked, DeadAgain, DeadLater, DeadForGood, DeadCompleted} {
				_, err := next(in, dead)
				require.Error(t, err, "%s must not take %s: death is proved while stopping", in, dead)
			}
		}
	}
	for _, s := range allStates {
		require.True(t, reached[s], "no move leads to %s", s)
	}
}

// TestOperatorIsNeverRefused: start, stop and restart are possible in every state but that one cannot restart what cannot be killed.
func TestOperatorIsNeverRefused(t *testing.T) {
	for _, in := range allStates {
		_, err := next(in, StartWanted)
		require.NoError(t, err, "start while %s", in)
		_, idle := next(in, StopIdle)
		_, stop := next(in, StopWanted)
		require.False(t, idle != nil && stop != nil, "stop while %s", in)
		if _, err = next(in, RestartWanted); in == api.Unkillable {
			require.Error(t, err)
		} else {
			require.NoError(t, err, "restart while %s", in)
		}
	}
}

func steady() float64 { return 1 }

func plain(name string) services.Instance {
	return services.Instance{Service: name, Replicas: 1, Kind: services.KindService, Wanted: true, Stop: services.Stop{Grace: time.Second}}
}

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// up brings a machine to ready at t0.
func up(t *testing.T, inst services.Instance, dependents ...string) *Machine {
	m := NewMachine(inst, dependents, steady)
	m.Begin(t0, nil)
	handle(t, m, t0, Event{Kind: Spawned, Run: 1, PID: 100})
	require.Equal(t, api.Ready, m.state)
	return m
}

func handle(t *testing.T, m *Machine, now time.Time, ev Event) []Action {
	acts, err := m.Handle(now, ev)
	require.NoError(t, err)
	return acts
}

func dos(acts []Action) (list []Do) {
	for _, a := range acts {
		if a.Do != DoPublish {
			list = append(list, a.Do)
		}
	}
	return list
}

// crash ends the present run with status 1 at now and proves it dead; it returns the delay of the next one, -1 for none.
func crash(t *testing.T, m *Machine, now time.Time) time.Duration {
	run := m.run
	handle(t, m, now, Event{Kind: Exited, Run: run, Exit: api.Exit{Cause: api.CauseExit, Code: 1}})
	for _, a := range handle(t, m, now, Event{Kind: Dead, Run: run}) {
		switch a.Do {
		case DoArm:
			return a.Delay
		case DoSpawn:
			return 0
		}
	}
	return -1
}

func TestRestartAfterALongRunIsImmediate(t *testing.T) {
	m := up(t, plain("a"))
	require.Equal(t, time.Duration(0), crash(t, m, t0.Add(time.Second)))
	require.Equal(t, uint64(2), m.run)
}

// TestE40CrashLoopBacksOff: 100 ms · 2ⁿ for the n-th consecutive short run, never above max, and never given up.
func TestE40CrashLoopBacksOff(t *testing.T) {
	inst := plain("a")
	inst.Restart.Max = 3 * time.Second
	m := up(t, inst)
	now := t0
	for _, want := range []time.Duration{200, 400, 800, 1600, 3000, 3000} {
		require.Equal(t, want*time.Millisecond, crash(t, m, now))
		require.Equal(t, api.Backoff, m.state)
		handle(t, m, now, Event{Kind: TimerFired, Run: m.run, Timer: m.timer})
		handle(t, m, now, Event{Kind: Spawned, Run: m.run, PID: 1})
	}
	require.Equal(t, time.Duration(0), crash(t, m, now.Add(2*time.Second)), "a long run makes the next failure a first one")
}

// TestE10LateEventsOfAnEarlierRunAreDropped walks every event with a wrong run number, in every state.
func TestE10LateEventsOfAnEarlierRunAreDropped(t *testing.T) {
	m := up(t, plain("a"))
	require.Equal(t, time.Duration(0), crash(t, m, t0.Add(time.Minute)))
	handle(t, m, t0, Event{Kind: Spawned, Run: 2, PID: 101})
	before := m.View()
	for kind := Spawned; kind <= TimerFired; kind++ {
		require.Empty(t, handle(t, m, t0, Event{Kind: kind, Run: 1}))
		require.Equal(t, before, m.View())
	}
}

// TestE5GraceThenKill: one signal, then SIGKILL, and dead only when it is proved.
func TestE5GraceThenKill(t *testing.T) {
	m := up(t, plain("a"))
	acts := handle(t, m, t0, Event{Kind: StopWanted, Actor: "ann"})
	require.Equal(t, []Do{DoArm, DoSignal}, dos(acts))
	require.Empty(t, dos(handle(t, m, t0, Event{Kind: StopWanted, Actor: "ann"})), "a second stop sends no second signal")
	acts = handle(t, m, t0, Event{Kind: TimerFired, Run: 1, Timer: m.timer})
	require.Equal(t, []Do{DoKill, DoArm}, dos(acts))
	handle(t, m, t0, Event{Kind: Exited, Run: 1, Exit: api.Exit{Cause: api.CauseSignal, Signal: "KILL"}})
	require.Equal(t, api.Stopping, m.state)
	handle(t, m, t0, Event{Kind: Dead, Run: 1})
	require.Equal(t, api.Stopped, m.state)
	require.True(t, m.View().Killed)
	require.Equal(t, "ann", m.View().StoppedBy)
}

// TestE7UnkillableIsAStateOfItsOwn: it is shown, start is no second copy, and death ends it.
func TestE7UnkillableIsAStateOfItsOwn(t *testing.T) {
	m := up(t, plain("a"))
	handle(t, m, t0, Event{Kind: StopWanted})
	handle(t, m, t0, Event{Kind: TimerFired, Run: 1, Timer: m.timer})
	handle(t, m, t0, Event{Kind: TimerFired, Run: 1, Timer: m.timer})
	require.Equal(t, api.Unkillable, m.state)
	require.Empty(t, dos(handle(t, m, t0, Event{Kind: StartWanted})))
	acts := handle(t, m, t0, Event{Kind: Dead, Run: 1})
	require.Contains(t, dos(acts), DoSpawn)
}

// TestE32LostDependencyBurnsNoBudget: what ends because a need is away waits for the need.
func TestE32LostDependencyBurnsNoBudget(t *testing.T) {
	inst := plain("b")
	inst.Needs = []string{"a"}
	m := NewMachine(inst, nil, steady)
	m.Begin(t0, nil)
	require.Equal(t, []string{"a"}, m.View().WaitingFor)
	handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "a", State: api.Ready, Ready: true}})
	handle(t, m, t0, Event{Kind: Spawned, Run: 1, PID: 1})
	handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "a", State: api.Backoff}})
	require.Equal(t, api.Ready, m.state, "a crash stops no dependent")
	require.Equal(t, time.Duration(-1), crash(t, m, t0))
	require.Equal(t, api.Waiting, m.state)
	require.Equal(t, api.CauseDependency, m.lastExit.Cause)
	acts := handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "a", State: api.Ready, Ready: true}})
	require.Contains(t, dos(acts), DoSpawn)
	require.Empty(t, m.streaks)
}

// TestOrderedStopWaitsForDependents: no signal before each dependent said that it is held and is dead.
func TestOrderedStopWaitsForDependents(t *testing.T) {
	m := up(t, plain("a"), "b")
	require.Empty(t, dos(handle(t, m, t0, Event{Kind: StopWanted})))
	require.True(t, m.Snapshot().Held)
	require.Empty(t, dos(handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "b", Alive: true, Held: true}})))
	require.Empty(t, dos(handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "b"}})), "dead, but about to start")
	acts := handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "b", Held: true}})
	require.Contains(t, dos(acts), DoSignal)
}

// TestOrderedStopIsOrderedAfterAdoption: a new supervisor does not signal before the dependents are gone either.
func TestOrderedStopIsOrderedAfterAdoption(t *testing.T) {
	m := up(t, plain("a"), "b")
	handle(t, m, t0, Event{Kind: StopWanted})
	before := m.View()
	n := NewMachine(plain("a"), []string{"b"}, steady)
	require.Empty(t, dos(n.Begin(t0, &before)), "b has not said that it is gone")
	require.True(t, n.Snapshot().Held)
	require.Empty(t, dos(handle(t, n, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "b", Alive: true, Held: true}})))
	require.Contains(t, dos(handle(t, n, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "b", Held: true}})), DoSignal)
}

// migrating is a migrator that runs, on a database that was ready when it began.
func migrating(t *testing.T) *Machine {
	inst := plain("migrator")
	inst.Kind, inst.Needs, inst.Stop.Wait = services.KindOneshot, []string{"a"}, true
	inst.Restart.Final = services.Final{Signal: true, Remedy: "repair it"}
	m := NewMachine(inst, nil, steady)
	m.Begin(t0, nil)
	handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "a", State: api.Ready, Ready: true}})
	handle(t, m, t0, Event{Kind: Spawned, Run: 1, PID: 1})
	return m
}

// TestAKilledMigratorFailsForGood: it is not run again by itself, since the database may be dirty; neither is one that found it dirty.
func TestAKilledMigratorFailsForGood(t *testing.T) {
	require.NotContains(t, dos(handle(t, migrating(t), t0, Event{Kind: RestartWanted})), DoSignal, "a running migration gets no signal")
	for name, ev := range map[string]Event{
		"killed":            {Exit: api.Exit{Cause: api.CauseSignal, Signal: "KILL"}},
		"out of memory":     {Exit: api.Exit{Cause: api.CauseOOM, Signal: "KILL"}},
		"found it dirty":    {Exit: api.Exit{Cause: api.CauseExit, Code: 1}, Final: "dirty database"},
		"killed and marked": {Exit: api.Exit{Cause: api.CauseSignal, Signal: "TERM"}, Final: "dirty database"},
	} {
		for _, away := range []bool{false, true} { // also when its database went down meanwhile
			m := migrating(t)
			if away {
				handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "a", State: api.Stopping}})
			}
			ev.Kind, ev.Run = Exited, 1
			handle(t, m, t0, ev)
			handle(t, m, t0, Event{Kind: Dead, Run: 1})
			require.Equal(t, api.Failed, m.state, name)
			require.Equal(t, "repair it", m.View().Evidence["remedy"], name)
			handle(t, m, t0, Event{Kind: StartWanted, Actor: "ann"})
			require.Equal(t, map[bool]api.State{false: api.Starting, true: api.Waiting}[away], m.state, name)
		}
	}
}

// TestAMigratorWithoutADatabaseIsTriedAgain: nothing is dirty, so it backs off, or waits for the database if that is away.
func TestAMigratorWithoutADatabaseIsTriedAgain(t *testing.T) {
	refused := Event{Kind: Exited, Run: 1, Exit: api.Exit{Cause: api.CauseExit, Code: 1}}
	m := migrating(t)
	handle(t, m, t0, refused)
	handle(t, m, t0, Event{Kind: Dead, Run: 1})
	require.Equal(t, api.Backoff, m.state)
	require.Contains(t, dos(handle(t, m, m.until, Event{Kind: TimerFired, Run: 1, Timer: m.timer})), DoSpawn)

	m = migrating(t)
	handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "a", State: api.Stopping}})
	handle(t, m, t0, refused)
	handle(t, m, t0, Event{Kind: Dead, Run: 1})
	require.Equal(t, api.Waiting, m.state)
	require.Equal(t, api.CauseDependency, m.lastExit.Cause)
	require.Empty(t, m.streaks, "what is done to it burns no budget")

	m = migrating(t)
	handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "a", State: api.Stopping}})
	handle(t, m, t0, Event{Kind: Exited, Run: 1, Exit: api.Exit{Cause: api.CauseExit}})
	handle(t, m, t0, Event{Kind: Dead, Run: 1})
	require.Equal(t, api.Ready, m.state, "it had done its work")
}

// TestAdoptionKeepsStateAndSince: it is an event, not a state.
func TestAdoptionKeepsStateAndSince(t *testing.T) {
	m := up(t, plain("a"))
	before := m.View()
	n := NewMachine(plain("a"), nil, steady)
	acts := n.Begin(t0.Add(time.Hour), &before)
	require.Equal(t, []Do{DoProbe}, dos(acts))
	require.Equal(t, before.Since, n.View().Since)
	require.Equal(t, before.Run, n.View().Run)
	require.Equal(t, before.PID, n.View().PID)
}
