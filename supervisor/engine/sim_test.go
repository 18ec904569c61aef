package engine

import (
	"container/heap"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
)

var (
	schedules = flag.Int("schedules", 100_000, "simulated schedules")
	seed      = flag.Uint64("seed", 0, "replay this one schedule")
)

// TestSimulation walks seeded schedules of the whole engine with a simulated world: random graphs, delays, crashes, hangs,
// unkillable processes and operators. A failing seed is printed; `go test -run TestSimulation -seed N` replays it.
//
// Invariants: one process per instance, none of an earlier run, no ordered stop signals while a dependent lives, no start while a
// need is going down, and once the chaos ends every wanted instance is ready in bounded time, and after a stop nothing is left.
func TestSimulation(t *testing.T) {
	if *seed != 0 {
		if err := simulate(*seed, t.Logf); err != nil {
			t.Fatal(err)
		}
		return
	}
	n := *schedules
	if testing.Short() {
		n = 2000
	}
	for i := range n {
		s := uint64(i) + 1
		if err := simulate(s, nil); err != nil {
			t.Fatalf("seed %d: %v", s, err)
		}
	}
}

type happening struct {
	at  time.Duration
	seq int
	do  func()
}

type happenings []happening

func (h happenings) Len() int { return len(h) }
func (h happenings) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h happenings) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *happenings) Push(x any)   { *h = append(*h, x.(happening)) }
func (h *happenings) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// proc is a simulated process tree: main may be gone while others live.
type proc struct {
	run     uint64
	main    bool
	others  bool
	dead    bool // proved
	probing bool
}

type simWorld struct {
	rng    *rand.Rand
	now    time.Duration
	seq    int
	queue  happenings
	procs  map[string]*proc
	engine *Engine
	chaos  bool
	fault  error
	logf   func(string, ...any)
	insts  []services.Instance
	views  map[string]View // as the run records hold them
	actors []*actor
}

var simEpoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (w *simWorld) Now() time.Time { return simEpoch.Add(w.now) }

func (w *simWorld) after(most time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, happening{w.now + time.Duration(w.rng.Int64N(int64(most)+1)), w.seq, do})
}

func (w *simWorld) at(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.queue, happening{w.now + d, w.seq, do})
}

func (w *simWorld) fail(format string, args ...any) {
	if w.fault == nil {
		w.fault = fmt.Errorf(format, args...)
	}
}

func (w *simWorld) roll(percent int) bool { return w.rng.IntN(100) < percent }

func (w *simWorld) Spawn(name string, run uint64) {
	if p := w.procs[name]; p != nil && (p.main || p.others) {
		w.fail("%s spawns run %d while run %d lives", name, run, p.run)
	}
	p := &proc{run: run}
	w.procs[name] = p
	w.after(20*time.Millisecond, func() {
		if p.dead {
			return
		}
		if w.chaos && w.roll(10) {
			p.dead = true
			w.engine.Post(name, Event{Kind: SpawnFailed, Run: run, Permanent: w.roll(20), Cause: api.CauseExec, Err: errSim})
			return
		}
		p.main, p.others = true, w.roll(30)
		w.engine.Post(name, Event{Kind: Spawned, Run: run, PID: int(run)})
		if w.machine(name).inst.Kind == services.KindOneshot {
			w.after(200*time.Millisecond, func() { w.exit(name, p, w.exitCode()) })
		} else if w.chaos && w.roll(40) {
			w.after(5*time.Second, func() { w.exit(name, p, 1) })
		}
	})
}

// killed is the exit code of what SIGKILL ended, in the world's own count.
const killed = 137

func (w *simWorld) exitCode() int {
	if w.chaos && w.roll(30) {
		return 1
	}
	return 0
}

func (w *simWorld) exit(name string, p *proc, code int) {
	if !p.main {
		return
	}
	p.main = false
	ev := Event{Kind: Exited, Run: p.run, Exit: api.Exit{Cause: api.CauseExit, Code: code}}
	if code == killed {
		ev.Exit = api.Exit{Cause: api.CauseSignal, Signal: "KILL"}
	}
	if code == 1 && w.machine(name).inst.Restart.Final.Signal {
		ev.Final = []string{"", "dirty"}[w.rng.IntN(2)]
	}
	w.engine.Post(name, ev)
}

func (w *simWorld) Probe(name string, run uint64) {
	p := w.procs[name]
	if p == nil || p.run != run || p.probing {
		return
	}
	p.probing = true
	var again func()
	again = func() {
		if p.dead || !p.main {
			return
		}
		kind := ProbePassed
		if w.chaos {
			switch w.rng.IntN(10) {
			case 0:
				kind = ProbeFailed
			case 1:
				kind = Hung
			}
		}
		w.engine.Post(name, Event{Kind: kind, Run: run, Err: map[bool]error{true: errSim}[kind != ProbePassed]})
		w.after(2*time.Second, again)
	}
	w.after(100*time.Millisecond, again)
}

func (w *simWorld) Signal(name string, run uint64) {
	m := w.machine(name)
	if m.ordered {
		for d := range m.dependents {
			if p := w.procs[d]; p != nil && (p.main || p.others) {
				w.fail("%s is signalled while %s, which needs it, lives", name, d)
			}
		}
	}
	p := w.procs[name]
	if p == nil || p.run != run {
		return
	}
	if !p.main { // still being prepared
		w.after(10*time.Millisecond, func() {
			if !p.main && !p.dead {
				p.dead = true
				w.engine.Post(name, Event{Kind: SpawnFailed, Run: run, Cause: api.CauseStopped, Err: errSim})
			} else {
				w.exit(name, p, 0)
			}
		})
		return
	}
	if w.chaos && w.roll(20) {
		return // deaf
	}
	w.after(300*time.Millisecond, func() { w.exit(name, p, 0) })
}

func (w *simWorld) Kill(name string, run uint64, force bool) {
	p := w.procs[name]
	if p == nil || p.run != run {
		w.after(time.Millisecond, func() { w.engine.Post(name, Event{Kind: Dead, Run: run}) })
		return
	}
	delay := 5 * time.Millisecond
	if w.chaos && w.roll(5) {
		delay = 30 * time.Second // uninterruptible for a while
	}
	w.after(delay, func() {
		if force {
			w.exit(name, p, killed)
		}
		p.main, p.others, p.dead = false, false, true
		w.engine.Post(name, Event{Kind: Dead, Run: run, Killed: force})
	})
}

func (w *simWorld) Arm(name string, run, timer uint64, d time.Duration) {
	by := w.engine
	w.at(d, func() { by.Post(name, Event{Kind: TimerFired, Run: run, Timer: timer}) })
}

func (w *simWorld) Publish(v View) {
	w.views[v.Name] = v
	if w.logf != nil && v.Transition {
		w.logf("%8s %s: %s -> %s (%s) %s", w.now, v.Name, v.Previous, v.State, v.Event, v.Reason)
	}
}

func (w *simWorld) machine(name string) *Machine { return w.engine.actors[name].machine }

var errSim = fmt.Errorf("simulated")

func simulate(seed uint64, logf func(string, ...any)) error {
	w := newSimWorld(seed, logf)
	for range 3 + w.rng.IntN(4) {
		w.order()
		w.steps(60)
		if w.roll(30) {
			w.crash()
			w.steps(20)
		}
		if w.fault != nil {
			return w.fault
		}
	}
	w.chaos = false
	for _, a := range w.actors {
		w.engine.Post(a.name, Event{Kind: StartWanted, Actor: "end of chaos"})
	}
	if err := w.settle(api.Ready); err != nil {
		return err
	}
	for _, a := range w.actors {
		w.engine.Post(a.name, Event{Kind: StopWanted, Actor: "end"})
	}
	return w.settle(api.Stopped)
}

// newSimWorld makes a random acyclic graph of two to six instances: an instance may need earlier ones.
func newSimWorld(seed uint64, logf func(string, ...any)) *simWorld {
	w := &simWorld{rng: rand.New(rand.NewPCG(seed, 1)), procs: map[string]*proc{}, views: map[string]View{}, chaos: true, logf: logf}
	for i := range 2 + w.rng.IntN(5) {
		inst := services.Instance{
			Service: fmt.Sprintf("s%d", i), Replicas: 1, Kind: services.KindService, Wanted: true,
			Stop: services.Stop{Grace: time.Second}, Restart: services.Restart{Max: 5 * time.Second}, Start: services.Start{Timeout: 3 * time.Second},
		}
		if w.roll(70) {
			inst.Ready = &services.Probe{TCP: true}
		}
		if w.roll(15) {
			inst.Kind, inst.Ready, inst.Start = services.KindOneshot, nil, services.Start{}
			inst.Restart.Final.Signal, inst.Stop.Wait = w.roll(50), w.roll(50)
		}
		for j := range i {
			switch {
			case w.roll(40):
				inst.Needs = append(inst.Needs, fmt.Sprintf("s%d", j))
			case w.roll(10):
				inst.Wants = append(inst.Wants, fmt.Sprintf("s%d", j))
			}
		}
		w.insts = append(w.insts, inst)
	}
	w.boot(nil)
	return w
}

// boot is a new supervisor, on nothing or on what the one before it left.
func (w *simWorld) boot(before map[string]View) {
	w.engine = New(w, func() float64 { return 0.8 + 0.4*w.rng.Float64() }, nil)
	w.engine.launch = func(e *Engine, a *actor, v *View) { e.perform(a, a.machine.Begin(w.Now(), v)) }
	if err := w.engine.Add(w.insts, before); err != nil {
		w.fail("%v", err)
	}
	w.actors = nil
	for _, name := range w.engine.Names() {
		w.actors = append(w.actors, w.engine.actors[name])
	}
}

// crash is SIGKILL to the supervisor: what it knew is gone but for the records; its children live; timers and probes die with it.
func (w *simWorld) crash() {
	if w.logf != nil {
		w.logf("%8s the supervisor is killed", w.now)
	}
	for _, p := range w.procs {
		p.probing = false
	}
	before := w.views
	w.views = map[string]View{}
	w.boot(before)
	for name, v := range before { // as the host does for records without a living main process
		if p := w.procs[name]; v.Alive && (p == nil || !p.main) {
			if p != nil {
				p.dead = true // a spawn under way ends with the supervisor
			}
			w.engine.Post(name, Event{Kind: Exited, Run: v.Run, Expected: true, Exit: api.Exit{Cause: api.CauseExit}})
		}
	}
}

// order is an operator: a start, a stop or a restart of something.
func (w *simWorld) order() {
	name := w.actors[w.rng.IntN(len(w.actors))].name
	kind := []Kind{StartWanted, StopWanted, RestartWanted}[w.rng.IntN(3)]
	if w.logf != nil {
		w.logf("%8s operator: %s %s", w.now, kind, name)
	}
	w.engine.Post(name, Event{Kind: kind, Actor: "operator"})
}

func (w *simWorld) steps(n int) {
	for range n {
		if w.fault != nil || !w.step() {
			return
		}
	}
}

// step delivers one message to a random instance, or lets the next thing happen.
func (w *simWorld) step() bool {
	var ready []*actor
	for _, a := range w.actors {
		if len(a.inbox.queue) > 0 {
			ready = append(ready, a)
		}
	}
	if len(ready) > 0 && (len(w.queue) == 0 || w.roll(80)) {
		a := ready[w.rng.IntN(len(ready))]
		ev := a.inbox.queue[0]
		a.inbox.queue = a.inbox.queue[1:]
		w.engine.handle(a, ev)
		return true
	}
	if len(w.queue) == 0 {
		return false
	}
	next := heap.Pop(&w.queue).(happening)
	w.now = next.at
	next.do()
	return true
}

// settle lets everything happen until each instance is in the state, within five simulated minutes.
func (w *simWorld) settle(state api.State) error {
	deadline := w.now + 5*time.Minute
	for w.now < deadline && w.fault == nil {
		done := true
		for _, a := range w.actors {
			done = done && a.machine.state == state && len(a.inbox.queue) == 0
		}
		if done {
			break
		}
		if !w.step() {
			break
		}
	}
	for _, a := range w.actors {
		if a.machine.state != state {
			w.fail("%s is %s and not %s after %s (%s)", a.name, a.machine.state, state, w.now, a.machine.View().Reason)
		}
		if p := w.procs[a.name]; state == api.Stopped && p != nil && (p.main || p.others) {
			w.fail("%s is stopped, but run %d lives", a.name, p.run)
		}
	}
	return w.fault
}
