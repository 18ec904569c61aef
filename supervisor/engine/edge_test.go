package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
)

// needing is an instance that needs a, in the state that a's last word leaves it in.
func needing(t *testing.T, a Snapshot) *Machine {
	inst := plain("b")
	inst.Needs = []string{"a"}
	inst.Ready = &services.Probe{TCP: true}
	m := NewMachine(inst, nil, steady)
	m.Begin(t0, nil)
	a.Name = "a"
	handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: a})
	return m
}

var readyNeed = Snapshot{State: api.Ready, Ready: true, Alive: true}

// TestE8StopWins: during a wait, a start, a back-off and a readiness that does not come, a stop is final.
func TestE8StopWins(t *testing.T) {
	stop := Event{Kind: StopWanted, Actor: "ann"}

	waiting := needing(t, Snapshot{State: api.Starting})
	handle(t, waiting, t0, stop)
	require.Equal(t, api.Stopped, waiting.state)
	handle(t, waiting, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "a", State: api.Ready, Ready: true}})
	require.Equal(t, api.Stopped, waiting.state, "an open gate starts nothing that is stopped")

	preparing := needing(t, readyNeed)
	require.Contains(t, dos(handle(t, preparing, t0, stop)), DoSignal)
	handle(t, preparing, t0, Event{Kind: SpawnFailed, Run: 1, Cause: api.CauseStopped})
	handle(t, preparing, t0, Event{Kind: Dead, Run: 1})
	require.Equal(t, api.Stopped, preparing.state)

	lateBirth := needing(t, readyNeed)
	handle(t, lateBirth, t0, stop)
	handle(t, lateBirth, t0, Event{Kind: Spawned, Run: 1, PID: 7})
	require.Equal(t, api.Stopping, lateBirth.state)

	backoff := up(t, plain("c"))
	crash(t, backoff, t0)
	require.Equal(t, api.Backoff, backoff.state)
	timer := backoff.timer
	handle(t, backoff, t0, stop)
	require.Equal(t, api.Stopped, backoff.state)
	require.Empty(t, handle(t, backoff, t0, Event{Kind: TimerFired, Run: 1, Timer: timer}), "the timer of the back-off is void")
}

// TestE9SecondOrderJoinsTheFirst: a restart during a stop, a start during a stop, two restarts: one stop, one start.
func TestE9SecondOrderJoinsTheFirst(t *testing.T) {
	m := up(t, plain("a"))
	require.Contains(t, dos(handle(t, m, t0, Event{Kind: RestartWanted})), DoSignal)
	require.NotContains(t, dos(handle(t, m, t0, Event{Kind: RestartWanted})), DoSignal)
	require.NotContains(t, dos(handle(t, m, t0, Event{Kind: StartWanted})), DoSpawn)
	handle(t, m, t0, Event{Kind: Exited, Run: 1, Exit: api.Exit{Cause: api.CauseExit}})
	acts := handle(t, m, t0, Event{Kind: Dead, Run: 1})
	require.Equal(t, uint64(2), m.run)
	require.Contains(t, dos(acts), DoSpawn)
	require.Equal(t, 0, m.restarts, "what is asked for is no restart of ours")
}

// TestE20HelpersEndBeforeTheNextRun: the main process exits and others live: they are killed and proved dead first.
func TestE20HelpersEndBeforeTheNextRun(t *testing.T) {
	m := up(t, plain("a"))
	acts := handle(t, m, t0.Add(time.Minute), Event{Kind: Exited, Run: 1, Exit: api.Exit{Cause: api.CauseExit}})
	require.Equal(t, []Do{DoProve, DoArm}, dos(acts))
	require.Contains(t, dos(handle(t, m, t0.Add(time.Minute), Event{Kind: Dead, Run: 1})), DoSpawn)
}

// TestE31DependentOfAFailureWaitsAndReturns: it says for whom, and starts by itself once that recovers.
func TestE31DependentOfAFailureWaitsAndReturns(t *testing.T) {
	m := needing(t, Snapshot{State: api.Failed, Over: true})
	v := m.View()
	require.Equal(t, api.Waiting, v.State)
	require.Equal(t, []string{"a"}, v.WaitingFor)
	require.Equal(t, "a", v.CausedBy)
	acts := handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "a", State: api.Ready, Ready: true}})
	require.Contains(t, dos(acts), DoSpawn)
}

// TestE33SlowStartIsBoundedOnlyByItsOwnTimeout: without one it may take for ever; with one its end counts as liveness.
func TestE33SlowStartIsBoundedOnlyByItsOwnTimeout(t *testing.T) {
	m := needing(t, readyNeed)
	require.NotContains(t, dos(handle(t, m, t0, Event{Kind: Spawned, Run: 1, PID: 7})), DoArm)

	inst := plain("c")
	inst.Ready, inst.Start.Timeout = &services.Probe{TCP: true}, time.Minute
	bounded := NewMachine(inst, nil, steady)
	require.Equal(t, []Do{DoSpawn, DoArm}, dos(bounded.Begin(t0, nil)))
	handle(t, bounded, t0, Event{Kind: Spawned, Run: 1, PID: 7})
	handle(t, bounded, t0, Event{Kind: TimerFired, Run: 1, Timer: bounded.timer})
	require.Equal(t, api.Stopping, bounded.state)
	handle(t, bounded, t0, Event{Kind: Exited, Run: 1, Exit: api.Exit{Cause: api.CauseSignal, Signal: "TERM"}})
	require.Equal(t, api.CauseLiveness, bounded.lastExit.Cause)
}

// TestE34DeathBeforeReadyIsToldLikeAnyOther: the same events as of one that was ready.
func TestE34DeathBeforeReadyIsToldLikeAnyOther(t *testing.T) {
	kinds := func(m *Machine) (list []api.State) {
		for _, ev := range []Event{{Kind: Exited, Run: 1, Exit: api.Exit{Cause: api.CauseExit, Code: 3}}, {Kind: Dead, Run: 1}} {
			for _, a := range handle(t, m, t0, ev) {
				if a.Do == DoPublish && a.View.Transition {
					list = append(list, a.View.State)
				}
			}
		}
		require.Equal(t, 3, m.lastExit.Code)
		return list
	}
	early := needing(t, readyNeed)
	handle(t, early, t0, Event{Kind: Spawned, Run: 1, PID: 7})
	require.Equal(t, kinds(up(t, plain("c"))), kinds(early))
}

// TestE36FlapStopsNoDependent: a need that is degraded, or restarts, leaves what needs it running.
func TestE36FlapStopsNoDependent(t *testing.T) {
	m := needing(t, readyNeed)
	handle(t, m, t0, Event{Kind: Spawned, Run: 1, PID: 7})
	handle(t, m, t0, Event{Kind: ProbePassed, Run: 1})
	for _, s := range []api.State{api.Degraded, api.Stopping, api.Backoff, api.Starting, api.Ready} {
		handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "a", State: s, Ready: s == api.Ready, Alive: true}})
		require.Equal(t, api.Ready, m.state, "a is %s", s)
	}
}

// TestE58ReplanDuringARestart: the run that is ending ends as it began; the next one has the new definition's neighbours.
func TestE58ReplanDuringARestart(t *testing.T) {
	m := up(t, plain("b"))
	handle(t, m, t0, Event{Kind: RestartWanted})
	changed := plain("b")
	changed.Needs = []string{"a"}
	handle(t, m, t0, Event{Kind: replanned, inst: &changed})
	require.Equal(t, api.Stopping, m.state)
	handle(t, m, t0, Event{Kind: Exited, Run: 1, Exit: api.Exit{Cause: api.CauseExit}})
	require.NotContains(t, dos(handle(t, m, t0, Event{Kind: Dead, Run: 1})), DoSpawn)
	require.Equal(t, []string{"a"}, m.View().WaitingFor)
	acts := handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "a", State: api.Ready, Ready: true}})
	require.Contains(t, dos(acts), DoSpawn)
}

// TestShutdownPassesByWhatCannotBeKilled: its needs still get their orderly end; an operator's stop of a need waits for it.
func TestShutdownPassesByWhatCannotBeKilled(t *testing.T) {
	for _, shutdown := range []bool{true, false} {
		m := NewMachine(plain("a"), []string{"b"}, steady)
		m.Begin(t0, nil)
		handle(t, m, t0, Event{Kind: Spawned, Run: 1, PID: 7})
		handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "b", State: api.Stopping, Held: true, Alive: true}})
		require.NotContains(t, dos(handle(t, m, t0, Event{Kind: StopWanted, Shutdown: shutdown})), DoSignal)
		acts := handle(t, m, t0, Event{Kind: NeighbourMoved, Snap: Snapshot{Name: "b", State: api.Unkillable, Held: true, Alive: true}})
		require.Equal(t, shutdown, slices.Contains(dos(acts), DoSignal))
		require.Equal(t, shutdown, len(m.View().WaitingFor) == 0)
	}
}

// TestShorterBudgetHastensAStopUnderWay; a longer one, or none, changes nothing.
func TestShorterBudgetHastensAStopUnderWay(t *testing.T) {
	slow := plain("a")
	slow.Stop.Grace = time.Minute
	m := up(t, slow)
	handle(t, m, t0, Event{Kind: StopWanted, Actor: "ann"})
	was := m.timer
	require.Empty(t, dos(handle(t, m, t0, Event{Kind: StopWanted, Actor: "ann"})))
	require.Empty(t, dos(handle(t, m, t0, Event{Kind: StopWanted, Actor: "shutdown", Grace: time.Hour, Shutdown: true})))
	acts := handle(t, m, t0.Add(10*time.Second), Event{Kind: StopWanted, Actor: "shutdown", Grace: time.Second, Shutdown: true})
	require.Equal(t, []Do{DoArm}, dos(acts), "no second signal")
	require.Equal(t, time.Second, acts[0].Delay)
	require.Empty(t, handle(t, m, t0.Add(11*time.Second), Event{Kind: TimerFired, Run: 1, Timer: was}), "the old grace is void")
	require.Contains(t, dos(handle(t, m, t0.Add(11*time.Second), Event{Kind: TimerFired, Run: 1, Timer: m.timer})), DoKill)
}

// TestExternalHasNoProcessToWaitFor: its stop ends at once, and a new supervisor takes it for what it is.
func TestExternalHasNoProcessToWaitFor(t *testing.T) {
	inst := plain("db")
	inst.Kind, inst.Ready = services.KindExternal, &services.Probe{TCP: true}
	m := NewMachine(inst, nil, steady)
	m.Begin(t0, nil)
	handle(t, m, t0, Event{Kind: Spawned, Run: 1})
	handle(t, m, t0, Event{Kind: ProbePassed, Run: 1})
	before := m.View()
	n := NewMachine(inst, nil, steady)
	require.Equal(t, []Do{DoProbe}, dos(n.Begin(t0, &before)))
	require.Equal(t, api.Ready, n.state)
	require.Contains(t, dos(handle(t, n, t0, Event{Kind: StopWanted})), DoProve)
	handle(t, n, t0, Event{Kind: Dead, Run: 1})
	require.Equal(t, api.Stopped, n.state)
}
