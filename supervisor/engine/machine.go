package engine

import (
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
)

// KillWait is how long after SIGKILL a service counts as unkillable (E7).
const KillWait = 10 * time.Second

// hungGrace bounds the grace of a service that no longer answers: it gets a chance to end well, but not its whole one.
const hungGrace = 2 * time.Second

// Machine is the state of one instance. Its owner calls Handle for one event after the other.
type Machine struct {
	inst   services.Instance
	jitter func() float64 // 0.8..1.2

	state     api.State
	since     time.Time
	reason    string
	evidence  map[string]string
	causedBy  string
	actor     string
	last      Kind
	previous  api.State
	moved     bool
	wanted    bool
	stoppedBy string
	restarts  int
	asked     bool // the next spawn is somebody's wish, not a restart

	run       uint64
	pid       int
	alive     bool
	readyAt   time.Time
	completed bool

	ordered   bool // stopping waits for the dependents
	signalled bool
	proving   bool // everything left is being killed
	killed    bool // and had to be
	forced    bool // the run before had to be killed when it was asked to stop
	grace     time.Duration
	killAt    time.Time // Stopping: when the grace ends
	shutdown  bool      // the whole appliance ends
	stopCause api.Cause // why it was signalled; empty: it was not
	exit      *api.Exit // of this run, nil while it lives
	lastExit  *api.Exit
	expected  bool
	final     string // the line in which it said that no restart mends it
	streaks   map[string]int
	delay     time.Duration
	until     time.Time
	timer     uint64

	needs, wants, dependents map[string]Snapshot
	unheard                  map[string]bool // neighbours that have not said anything yet
}

// NewMachine is an instance that has never run. dependents are the instances that need it. jitter returns 0.8 to 1.2.
func NewMachine(inst services.Instance, dependents []string, jitter func() float64) *Machine {
	m := &Machine{
		inst: inst, jitter: jitter, state: api.Stopped, wanted: inst.Wanted, streaks: map[string]int{},
		needs: map[string]Snapshot{}, wants: map[string]Snapshot{}, dependents: map[string]Snapshot{}, unheard: map[string]bool{},
	}
	m.rewire(inst, dependents)
	return m
}

// rewire takes the neighbours of a definition; what is known of one that stays is kept.
func (m *Machine) rewire(inst services.Instance, dependents []string) {
	known, heard := map[string]Snapshot{}, map[string]bool{}
	for _, group := range []map[string]Snapshot{m.needs, m.wants, m.dependents} {
		for name, s := range group {
			known[name], heard[name] = s, !m.unheard[name]
		}
	}
	pick := func(names []string) map[string]Snapshot {
		group := map[string]Snapshot{}
		for _, name := range names {
			group[name] = Snapshot{Name: name}
			if heard[name] {
				group[name] = known[name]
			} else {
				m.unheard[name] = true
			}
		}
		return group
	}
	m.inst = inst
	m.needs, m.wants, m.dependents = pick(inst.Needs), pick(inst.Wants), pick(dependents)
}

// Begin is the machine's first step: towards what the instance wants, or on from where an earlier supervisor left it.
func (m *Machine) Begin(now time.Time, before *View) []Action {
	m.since = now
	if before == nil {
		if m.wanted {
			m.state, m.asked = api.Waiting, true
		} else {
			m.reason = "disabled"
		}
		return m.follow(now, []Action{m.publish()})
	}
	m.restore(*before)
	acts := []Action{m.publish()}
	switch m.state {
	case api.Starting, api.Ready, api.Degraded:
		if m.alive {
			acts = append(acts, Action{Do: DoProbe, Run: m.run})
		}
	case api.Stopping:
		if !m.ordered { // an ordered one goes on once what needs it has said that it is gone
			acts = append(acts, m.signal(now)...)
		}
	case api.Unkillable:
		acts = append(acts, Action{Do: DoKill, Run: m.run})
	case api.Backoff:
		acts = append(acts, m.arm(max(0, m.until.Sub(now))))
	}
	return m.follow(now, acts)
}

// Handle takes one event and returns what follows from it. The error is a [Refused]: nothing was changed.
func (m *Machine) Handle(now time.Time, ev Event) ([]Action, error) {
	if ev.Run != 0 && ev.Run != m.run {
		return nil, nil // a late exit, probe or timer of an earlier life (E10)
	}
	if ev.Kind == TimerFired && ev.Timer != m.timer {
		return nil, nil // disarmed meanwhile
	}
	kind := m.refine(now, ev)
	if kind == nothing {
		return m.follow(now, m.heard(ev)), nil
	}
	mv, err := next(m.state, kind)
	if err != nil {
		return nil, err
	}
	m.note(ev, kind)
	return m.follow(now, m.enter(now, mv, kind)), nil
}

// refine says what the event means in the present situation, and takes in what it carries.
func (m *Machine) refine(now time.Time, ev Event) Kind {
	switch ev.Kind {
	case StartWanted, RestartWanted:
		if !m.wanted {
			m.wanted, m.stoppedBy, m.shutdown = true, "", false
		}
		m.asked = ev.Kind == RestartWanted || !m.up()
	case StopWanted:
		m.asked = false
		m.wanted, m.stoppedBy, m.shutdown = false, ev.Actor, m.shutdown || ev.Shutdown
		if m.grace == 0 || ev.Grace > 0 && ev.Grace < m.grace {
			m.grace = ev.Grace
		}
		if m.state == api.Stopping && m.signalled && !m.proving && ev.Grace > 0 && now.Add(ev.Grace).Before(m.killAt) {
			return StopSooner
		}
		if !m.alive {
			switch m.state {
			case api.Waiting, api.Backoff, api.Failed, api.Ready:
				return StopIdle
			}
		}
	case NeighbourMoved:
		return m.neighbour(ev.Snap)
	case Spawned:
		m.pid = ev.PID
		if m.state == api.Starting && m.inst.Ready == nil && m.inst.Kind != services.KindOneshot {
			return SpawnedReady
		}
	case SpawnFailed:
		m.exit = &api.Exit{At: api.Time{Time: now}, Cause: ev.Cause}
		m.lastExit = m.exit
		if m.state != api.Stopping {
			m.alive = false
		}
		if ev.Permanent {
			return SpawnRefused
		}
	case Exited:
		m.exited(now, ev)
	case replanned:
		m.rewire(*ev.inst, ev.dependents)
		return nothing
	case Dead:
		m.killed = m.killed || (ev.Killed && m.stopCause == api.CauseStopped)
		return m.outcome()
	case TimerFired:
		return m.fired()
	}
	return ev.Kind
}

func (m *Machine) fired() Kind {
	switch {
	case m.state == api.Starting:
		return StartTimeout
	case m.state == api.Backoff:
		return BackoffElapsed
	case m.state == api.Stopping && m.proving:
		return KillElapsed
	case m.state == api.Stopping:
		return GraceElapsed
	}
	return nothing
}

// exited takes in how the main process ended, and why.
func (m *Machine) exited(now time.Time, ev Event) {
	exit := ev.Exit
	exit.At = api.Time{Time: now}
	switch {
	case exit.Cause == api.CauseOOM:
	case m.stopCause != "":
		exit.Cause = m.stopCause
	case !m.needsReady() && !m.didItsWork(exit):
		exit.Cause = api.CauseDependency
	}
	m.exit, m.lastExit, m.expected, m.final, m.pid = &exit, &exit, ev.Expected, ev.Final, 0
}

// didItsWork says that a oneshot ended as it should.
func (m *Machine) didItsWork(exit api.Exit) bool {
	return m.inst.Kind == services.KindOneshot && exit.Code == 0 && exit.Signal == ""
}

// mustNotRepeat says that the run ended in a way that the next one could only make worse.
func (m *Machine) mustNotRepeat() bool {
	return m.exit != nil && (m.final != "" || m.inst.Restart.Final.Signal && m.exit.Signal != "")
}

// outcome says what a proof of death leads to.
func (m *Machine) outcome() Kind {
	cause := api.CauseStopped
	switch {
	case m.stopCause != "":
		cause = m.stopCause
	case m.exit != nil:
		cause = m.exit.Cause
	}
	switch {
	case !m.wanted:
		return DeadAsked
	case m.asked:
		return DeadAgain
	case m.mustNotRepeat():
		return DeadForGood
	case cause == api.CauseStopped || m.expected || m.anyNeedHeld():
		return DeadAgain
	case cause == api.CauseExit && m.didItsWork(*m.exit):
		return DeadCompleted
	case cause == api.CauseDependency && !m.needsReady():
		return DeadAgain // waits for the need instead of burning its budget (E32)
	}
	if m.delay = m.nextDelay(cause); m.delay == 0 {
		return DeadAgain
	}
	return DeadLater
}

// neighbour takes in what another machine said; what follows from it is found by follow.
func (m *Machine) neighbour(s Snapshot) Kind {
	for _, group := range []map[string]Snapshot{m.needs, m.wants, m.dependents} {
		if _, ok := group[s.Name]; ok {
			group[s.Name] = s
		}
	}
	delete(m.unheard, s.Name)
	return nothing
}

// heard republishes what a neighbour's news changes for whoever looks: whom this one waits for.
func (m *Machine) heard(ev Event) []Action {
	if ev.Kind == replanned || ev.Kind == NeighbourMoved && (m.state == api.Waiting || m.state == api.Stopping) {
		m.moved = false
		return []Action{m.publish()}
	}
	return nil
}

// follow takes the steps that need no further event: through an open gate, out of the way of a held need, on with an ordered stop.
func (m *Machine) follow(now time.Time, acts []Action) []Action {
	for range 8 { // the longest legal chain is three
		kind := m.derived()
		mv, err := next(m.state, kind)
		if kind == nothing || err != nil {
			return acts
		}
		m.note(Event{}, kind)
		acts = append(acts, m.enter(now, mv, kind)...)
	}
	return acts
}

func (m *Machine) derived() Kind {
	switch m.state {
	case api.Waiting:
		if m.gateOpen() {
			return NeedsReady
		}
	case api.Starting, api.Ready, api.Degraded, api.Backoff:
		if m.anyNeedHeld() {
			return NeedHeld
		}
	case api.Stopping:
		if m.ordered && !m.signalled && m.dependentsGone() {
			return DependentsGone
		}
	}
	return nothing
}

// enter is the only writer of the state.
func (m *Machine) enter(now time.Time, mv move, kind Kind) []Action {
	m.previous, m.moved = m.state, m.state != mv.to
	if m.moved {
		m.state, m.since = mv.to, now
	}
	m.moved = m.moved || kind == GraceElapsed // an escalation is an event, not only a line in a log (E5)
	acts := m.perform(now, mv.do, kind)
	return append(acts, m.publish())
}

func (m *Machine) perform(now time.Time, do step, kind Kind) []Action {
	switch do {
	case gate, idle:
		m.disarm()
		m.finish()
	case spawn:
		return m.spawn()
	case watch:
		return m.probe()
	case settle:
		m.disarm()
		m.ready(now)
		if kind == SpawnedReady {
			return m.probe()
		}
	case complete:
		m.finish()
		m.completed, m.readyAt = true, now
	case stopOrdered:
		m.ordered, m.stopCause = true, api.CauseStopped
	case stopNow:
		return m.stop(now, kind)
	case hasten:
		m.killAt = now.Add(m.grace)
		return []Action{m.arm(m.grace)}
	case prove:
		m.proving = true
		return []Action{{Do: DoProve, Run: m.run}, m.arm(KillWait)}
	case kill:
		m.killed, m.proving = true, true
		return []Action{{Do: DoKill, Run: m.run}, m.arm(KillWait)}
	case giveUp:
		m.disarm()
	case backOff:
		return m.backOff(now, kind)
	}
	return nil
}

func (m *Machine) spawn() []Action {
	if m.run > 0 && !m.asked {
		m.restarts++
	}
	m.run++
	m.forced = m.killed
	m.alive, m.asked, m.completed, m.killed, m.proving, m.ordered, m.signalled = true, false, false, false, false, false, false
	m.stopCause, m.exit, m.expected, m.final, m.readyAt, m.until, m.grace = "", nil, false, "", time.Time{}, time.Time{}, 0
	acts := []Action{{Do: DoSpawn, Run: m.run}}
	if m.inst.Start.Timeout > 0 {
		acts = append(acts, m.arm(m.inst.Start.Timeout))
	}
	return acts
}

func (m *Machine) probe() []Action {
	if m.inst.Ready == nil && m.inst.Live == nil {
		return nil
	}
	return []Action{{Do: DoProbe, Run: m.run}}
}

func (m *Machine) ready(now time.Time) {
	if m.readyAt.IsZero() {
		m.readyAt = now
	}
}

func (m *Machine) stop(now time.Time, kind Kind) []Action {
	switch kind {
	case Hung, StartTimeout:
		m.stopCause = api.CauseLiveness
		m.grace = min(m.inst.Stop.Grace, hungGrace)
	default:
		if m.stopCause == "" {
			m.stopCause = api.CauseStopped
		}
	}
	return m.signal(now)
}

func (m *Machine) signal(now time.Time) []Action {
	m.signalled = true
	grace := m.inst.Stop.Grace
	if m.grace > 0 {
		grace = m.grace
	}
	if !m.alive || m.inst.Kind == services.KindExternal { // a completed oneshot; what runs elsewhere
		m.proving = true
		return []Action{{Do: DoProve, Run: m.run}, m.arm(KillWait)}
	}
	m.killAt = now.Add(grace)
	acts := []Action{m.arm(grace)}
	if !m.inst.Stop.Wait {
		acts = append(acts, Action{Do: DoSignal, Run: m.run})
	}
	return acts
}

// finish forgets the run that is over.
func (m *Machine) finish() {
	m.pid, m.alive, m.ordered, m.signalled, m.proving, m.stopCause = 0, false, false, false, false, ""
}

func (m *Machine) backOff(now time.Time, kind Kind) []Action {
	if kind == SpawnFailed {
		m.delay = m.nextDelay(m.exit.Cause)
	}
	m.finish()
	m.until = now.Add(m.delay)
	return []Action{m.arm(m.delay)}
}

func (m *Machine) arm(d time.Duration) Action {
	m.timer++
	return Action{Do: DoArm, Run: m.run, Timer: m.timer, Delay: d}
}

func (m *Machine) disarm() { m.timer++ }
