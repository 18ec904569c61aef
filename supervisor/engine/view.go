package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// View is what a machine shows: the status of an instance, and its run record.
type View struct {
	Name        string
	State       api.State
	Since       time.Time
	Reason      string
	WaitingFor  []string
	Wanted      bool
	StoppedBy   string
	PID         int
	Run         uint64
	Restarts    int
	LastExit    *api.Exit
	Streaks     map[string]int // consecutive short runs by budget
	Until       time.Time      // Backoff: when it starts again
	Killed      bool           // the present or last stop had to kill
	Forced      bool           // so had the one before this run
	Ordered     bool           // Stopping: not before what needs it is gone
	Held        bool
	Alive       bool
	ReadySince  time.Time // of this run; zero if it was not ready
	Completed   bool
	CausedBy    string // the neighbour this follows from
	Evidence    map[string]string
	Event       Kind   // what led here
	Actor       string // who wanted it
	Transition  bool   // the state changed
	Previous    api.State
	InstanceSum string // hash of the instance it runs with
	Settled     bool   // no further step follows from the same event: worth keeping
}

// Snapshot is what the neighbours are told.
func (m *Machine) Snapshot() Snapshot {
	return Snapshot{
		Name: m.inst.Name(), State: m.state, Ready: m.isReady(), Held: m.isHeld(), Alive: m.alive,
		Over: m.state == api.Stopped || m.state == api.Failed,
	}
}

func (m *Machine) publish() Action { return Action{Do: DoPublish, Run: m.run, View: m.View()} }

// View is what the machine shows now.
func (m *Machine) View() View {
	v := View{
		Name: m.inst.Name(), State: m.state, Since: m.since, Reason: m.reason, WaitingFor: m.waitingFor(), Wanted: m.wanted,
		StoppedBy: m.stoppedBy, PID: m.pid, Run: m.run, Restarts: m.restarts, LastExit: m.lastExit, Streaks: map[string]int{},
		Until: m.until, Killed: m.killed, Forced: m.forced, Ordered: m.ordered, Held: m.isHeld(), Alive: m.alive, ReadySince: m.readyAt, Completed: m.completed,
		CausedBy: m.causedBy, Evidence: m.evidence, Event: m.last, Actor: m.actor, Transition: m.moved, Previous: m.previous,
		InstanceSum: m.inst.Hash,
	}
	for k, n := range m.streaks {
		v.Streaks[k] = n
	}
	if m.state == api.Waiting && len(v.WaitingFor) > 0 {
		v.Reason = strings.TrimSuffix("for "+strings.Join(v.WaitingFor, ", ")+"; "+m.reason, "; ")
		if v.CausedBy == "" {
			v.CausedBy = v.WaitingFor[0]
		}
	}
	return v
}

func first(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

func (m *Machine) restore(v View) {
	m.state, m.since, m.reason, m.evidence, m.wanted, m.stoppedBy = v.State, v.Since, v.Reason, v.Evidence, v.Wanted, v.StoppedBy
	m.run, m.pid, m.alive, m.restarts, m.completed = v.Run, v.PID, v.Alive, v.Restarts, v.Completed
	m.readyAt, m.lastExit, m.until, m.killed = v.ReadySince, v.LastExit, v.Until, v.Killed
	for k, n := range v.Streaks {
		m.streaks[k] = n
	}
	if m.state == api.Stopping {
		m.stopCause, m.ordered = api.CauseStopped, v.Ordered
	}
}

// Elsewhere is where a machine goes on that has no process to take over: stopped by whoever stopped it, else as at its first start.
func (v View) Elsewhere() View {
	out := View{Name: v.Name, State: api.Stopped, Since: v.Since, Wanted: v.Wanted, StoppedBy: v.StoppedBy, Run: v.Run, Restarts: v.Restarts, InstanceSum: v.InstanceSum}
	if v.Wanted {
		out.State = api.Waiting
	}
	return out
}

// note keeps what a person will ask about.
func (m *Machine) note(ev Event, kind Kind) {
	m.last, m.actor, m.evidence, m.causedBy = kind, ev.Actor, ev.Evidence, ""
	switch {
	case ev.Err != nil:
		m.reason = ev.Err.Error()
	case kind == NeedHeld:
		m.causedBy = first(m.held())
	case kind == StopWanted || kind == StopIdle || kind == RestartWanted:
		m.reason = "" // the actor says it all
	case kind == StartTimeout:
		m.reason = fmt.Sprintf("not ready %s after its start", m.inst.Start.Timeout)
	case kind == Exited:
		m.reason = describe(*m.exit)
		if m.exit.Cause == api.CauseDependency {
			m.causedBy = first(m.missing())
		}
	case kind == ProbePassed || kind == NeedsReady || kind == SpawnedReady || kind == BackoffElapsed || kind == StartWanted:
		m.reason = ""
	case kind == DeadCompleted:
		m.reason = "completed"
	case kind == DeadForGood:
		m.evidence = map[string]string{"remedy": m.inst.Restart.Final.Remedy}
		if m.final != "" {
			m.evidence["log"] = m.final
		}
	case kind == GraceElapsed:
		m.reason = "still there after its grace period: killed"
	case kind == KillElapsed:
		m.reason = fmt.Sprintf("still there %s after SIGKILL", KillWait)
	}
}

func describe(e api.Exit) string {
	switch {
	case e.Cause == api.CauseOOM:
		return "out of memory: killed by the kernel"
	case e.Cause == api.CauseStopped:
		return ""
	case e.Signal != "":
		return "ended by signal " + e.Signal
	}
	return fmt.Sprintf("exited with status %d", e.Code)
}
