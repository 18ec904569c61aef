package engine

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
)

// Engine runs one machine for each instance of a plan, each owned by one goroutine.
type Engine struct {
	world  World
	jitter func() float64
	refuse func(name string, err error) // told of events that were not possible
	launch func(*Engine, *actor, *View) // gives an actor its goroutine

	mu     sync.Mutex
	actors map[string]*actor
	views  map[string]View
	change chan struct{} // closed and replaced at each published view
	wg     sync.WaitGroup
	ctx    context.Context
	cancel context.CancelFunc
}

type actor struct {
	name       string
	inst       services.Instance
	machine    *Machine
	inbox      *mailbox
	neighbours []string // who hears of it
	last       Snapshot
	done       chan struct{}
	quit       context.CancelFunc
}

// New is an engine without instances. jitter returns 0.8 to 1.2; refuse may be nil.
func New(world World, jitter func() float64, refuse func(string, error)) *Engine {
	if refuse == nil {
		refuse = func(string, error) {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Engine{
		world: world, jitter: jitter, refuse: refuse, actors: map[string]*actor{}, views: map[string]View{},
		change: make(chan struct{}), ctx: ctx, cancel: cancel, launch: (*Engine).start,
	}
}

// Add brings the instances in and begins them, those with a view where an earlier supervisor left them. The needs of an instance are
// among those added now or before.
func (e *Engine) Add(insts []services.Instance, before map[string]View) error {
	e.mu.Lock()
	fresh := make([]*actor, 0, len(insts))
	for _, inst := range insts {
		if _, ok := e.actors[inst.Name()]; ok {
			e.mu.Unlock()
			return fmt.Errorf("add %s: it is there already", inst.Name())
		}
		a := &actor{name: inst.Name(), inst: inst, inbox: newMailbox(), done: make(chan struct{})}
		fresh = append(fresh, a)
		e.actors[a.name] = a
	}
	dependents := e.dependentsLocked()
	for _, a := range fresh {
		a.machine = NewMachine(a.inst, dependents[a.name], e.jitter)
		a.neighbours = neighboursOf(a.inst, e.actors, dependents[a.name])
		if old, ok := before[a.name]; ok { // whoever looks before its goroutine runs sees it as it was left, not as none
			e.views[a.name] = old
		}
	}
	e.rewireLocked(fresh)
	e.mu.Unlock()
	for _, a := range fresh {
		var v *View
		if old, ok := before[a.name]; ok {
			v = &old
		}
		e.launch(e, a, v)
	}
	return nil
}

// Replan gives instances that are there a new definition. One that runs goes on with the old one until it is restarted.
func (e *Engine) Replan(insts []services.Instance) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, inst := range insts {
		if a := e.actors[inst.Name()]; a != nil {
			a.inst = inst
		}
	}
	e.rewireLocked(nil)
}

// rewireLocked tells all but the fresh ones who their neighbours are now.
func (e *Engine) rewireLocked(fresh []*actor) {
	dependents := e.dependentsLocked()
	for name, a := range e.actors {
		if slices.Contains(fresh, a) {
			continue
		}
		inst := a.inst
		a.inbox.put(Event{
			Kind: replanned, inst: &inst, dependents: dependents[name], neighbours: neighboursOf(a.inst, e.actors, dependents[name]),
		})
	}
}

func (e *Engine) dependentsLocked() map[string][]string {
	dependents := map[string][]string{}
	for name, a := range e.actors {
		for _, need := range a.inst.Needs {
			dependents[need] = append(dependents[need], name)
		}
	}
	return dependents
}

// neighboursOf is who must hear of an instance: what it needs (for their stop), what needs it, and what wants it.
func neighboursOf(inst services.Instance, all map[string]*actor, dependents []string) []string {
	names := append(slices.Clone(inst.Needs), dependents...)
	for name, a := range all {
		if slices.Contains(a.inst.Wants, inst.Name()) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return slices.Compact(names)
}

func (e *Engine) start(a *actor, before *View) {
	ctx, quit := context.WithCancel(e.ctx)
	a.quit = quit
	e.wg.Add(1)
	go func() {
		defer e.wg.Done()
		defer close(a.done)
		e.perform(a, a.machine.Begin(e.world.Now(), before))
		e.loop(ctx, a)
	}()
}

// loop owns the machine: no other goroutine touches it.
func (e *Engine) loop(ctx context.Context, a *actor) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.inbox.ring:
			for _, ev := range a.inbox.take() {
				e.handle(a, ev)
			}
		}
	}
}

func (e *Engine) handle(a *actor, ev Event) {
	switch ev.Kind {
	case ping:
		close(ev.reply)
		return
	case replanned:
		a.neighbours, a.last = ev.neighbours, Snapshot{}
	}
	acts, err := a.machine.Handle(e.world.Now(), ev)
	if err != nil {
		e.refuse(a.name, err)
	}
	e.perform(a, acts)
}

func (e *Engine) perform(a *actor, acts []Action) {
	last := -1
	for i, act := range acts {
		if act.Do == DoPublish {
			last = i
		}
	}
	for i, act := range acts {
		switch act.Do {
		case DoSpawn:
			e.world.Spawn(a.name, act.Run)
		case DoProbe:
			e.world.Probe(a.name, act.Run)
		case DoSignal:
			e.world.Signal(a.name, act.Run)
		case DoKill:
			e.world.Kill(a.name, act.Run, true)
		case DoProve:
			e.world.Kill(a.name, act.Run, false)
		case DoArm:
			e.world.Arm(a.name, act.Run, act.Timer, act.Delay)
		case DoPublish:
			act.View.Settled = i == last
			e.publish(a, act.View)
		}
	}
}

// publish keeps the view, shows it to the world, and tells the neighbours if it means anything to them.
func (e *Engine) publish(a *actor, v View) {
	e.world.Publish(v)
	e.mu.Lock()
	e.views[a.name] = v
	close(e.change)
	e.change = make(chan struct{})
	e.mu.Unlock()
	snap := Snapshot{
		Name: v.Name, State: v.State, Ready: v.State == api.Ready, Held: v.Held, Alive: v.Alive,
		Over: v.State == api.Stopped || v.State == api.Failed,
	}
	if snap == a.last {
		return
	}
	a.last = snap
	for _, name := range a.neighbours {
		e.Post(name, Event{Kind: NeighbourMoved, From: a.name, Snap: snap})
	}
}

// Post sends an event to an instance; to one that does not exist it is lost.
func (e *Engine) Post(name string, ev Event) {
	e.mu.Lock()
	a := e.actors[name]
	e.mu.Unlock()
	if a != nil {
		a.inbox.put(ev)
	}
}

// View returns the last view of an instance.
func (e *Engine) View(name string) (View, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	v, ok := e.views[name]
	return v, ok
}

// Await returns once done holds for the views of the named instances, or with the context's error.
func (e *Engine) Await(ctx context.Context, names []string, done func(View) bool) error {
	for {
		e.mu.Lock()
		change, all := e.change, true
		for _, name := range names {
			v, ok := e.views[name]
			all = all && (!ok || done(v))
		}
		e.mu.Unlock()
		if all {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-change:
		}
	}
}

// Changed is closed at the next published view.
func (e *Engine) Changed() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.change
}

// Remove takes instances out; they must be stopped.
func (e *Engine) Remove(names []string) {
	for _, name := range names {
		e.mu.Lock()
		a := e.actors[name]
		delete(e.actors, name)
		delete(e.views, name)
		e.rewireLocked(nil)
		e.mu.Unlock()
		if a != nil {
			a.quit()
			<-a.done
		}
	}
}

// Names lists the instances, sorted.
func (e *Engine) Names() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := make([]string, 0, len(e.actors))
	for name := range e.actors {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Close ends the goroutines; the services are left as they are.
func (e *Engine) Close() {
	e.cancel()
	e.wg.Wait()
}

// Tick answers once every machine has come to it: the heartbeat of the real loops. They are all asked at once, since each wake-up costs
// more than its answer. The error names one that did not answer in time.
func (e *Engine) Tick(ctx context.Context, within time.Duration) error {
	e.mu.Lock()
	replies := make(map[*actor]chan struct{}, len(e.actors))
	for _, a := range e.actors {
		replies[a] = make(chan struct{})
	}
	e.mu.Unlock()
	for a, reply := range replies {
		a.inbox.put(Event{Kind: ping, reply: reply})
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	for a, reply := range replies {
		select {
		case <-reply:
		case <-a.done:
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return fmt.Errorf("the loop of %s did not answer within %s", a.name, within)
		}
	}
	return nil
}
