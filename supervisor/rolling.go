package supervisor

import (
	"context"
	"slices"
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
)

// patience is how long a reload waits for one service to come back before it restarts the next one.
const patience = 5 * time.Second

// restartChanged restarts what runs differently now, service by service, users before what they use: a service that comes back finds at work what it needs, and one that
// lets its requests finish finds at work what answers them. (All at once, a frontend waits for its searches, they wait for a searcher, and that waits for the frontend.)
// What moved to another address is restarted before that, since its users will look for it there.
func (s *Supervisor) restartChanged(ctx context.Context, changed, was []services.Instance, by string) error {
	moved, stayed := split(changed, was)
	if err := s.turnAll(moved, was, by); err != nil {
		return err
	}
	for _, service := range usersFirst(stayed) {
		group := slices.DeleteFunc(slices.Clone(stayed), func(i services.Instance) bool { return i.Service != service })
		before := s.host.runs(names(group))
		up := names(slices.DeleteFunc(slices.Clone(group), func(i services.Instance) bool {
			v, _ := s.engine.View(i.Name())
			return !i.Wanted || v.State != api.Ready
		}))
		if err := s.turnAll(group, was, by); err != nil {
			return err
		}
		s.awaitUpFor(ctx, up, before)
	}
	return nil
}

// awaitTurned returns once no service runs as it did in the run before, and waits for a while until they are up again.
// What cannot be killed is passed by.
func (s *Supervisor) awaitTurned(ctx context.Context, changed []services.Instance, before map[string]uint64) error {
	serving := names(slices.DeleteFunc(slices.Clone(changed), func(i services.Instance) bool { return i.Kind != services.KindService || !i.Wanted }))
	if err := s.awaitEach(ctx, serving, func(v engine.View) bool { return v.Run > before[v.Name] || !v.Alive || s.stuck(v) }); err != nil {
		return err
	}
	coming := slices.DeleteFunc(serving, func(name string) bool { v, _ := s.engine.View(name); return slices.Contains(notComing, v.State) })
	s.awaitUpFor(ctx, coming, before)
	return nil
}

// notComing are the states of what no wait brings up.
var notComing = []api.State{api.Stopped, api.Failed, api.Backoff, api.Unkillable}

// split tells what has other addresses than before from what has not.
func split(changed, was []services.Instance) (moved, stayed []services.Instance) {
	for _, inst := range changed {
		if slices.ContainsFunc(was, func(old services.Instance) bool { return old.Name() == inst.Name() && !sameAddresses(old, inst) }) {
			moved = append(moved, inst)
		} else {
			stayed = append(stayed, inst)
		}
	}
	return moved, stayed
}

func sameAddresses(a, b services.Instance) bool {
	for port, address := range b.Addresses {
		if a.Addresses[port] != address {
			return false
		}
	}
	return true
}

// usersFirst orders the services of instances: what needs or wants another comes before it.
func usersFirst(insts []services.Instance) []string {
	users := map[string][]string{}
	var list []string
	for _, i := range insts {
		if !slices.Contains(list, i.Service) {
			list = append(list, i.Service)
		}
		for _, other := range insts {
			if slices.Contains(i.Needs, other.Name()) || slices.Contains(i.Wants, other.Name()) {
				users[other.Service] = append(users[other.Service], i.Service)
			}
		}
	}
	return closure(list, func(service string) []string { return users[service] })
}

// turnAll tells changed instances to run as they are defined now, but for those that a person stopped.
func (s *Supervisor) turnAll(insts, was []services.Instance, by string) error {
	for _, inst := range insts {
		if s.stoppedByOperator(inst, was) {
			continue
		}
		if ev := turn(inst, by); ev.Kind == engine.StopWanted {
			s.engine.Post(inst.Name(), ev)
		} else if err := s.order([]string{inst.Name()}, ev); err != nil {
			return err
		}
	}
	return nil
}

// turn is what a changed instance is told: one that is disabled now stops, another runs again with what changed.
func turn(inst services.Instance, by string) engine.Event {
	if !inst.Wanted {
		return engine.Event{Kind: engine.StopWanted, Actor: by + " (disabled)"}
	}
	return engine.Event{Kind: engine.RestartWanted, Actor: by}
}

// renamed are wanted instances that were stopped only to get another name: gitserver is gitserver/0 once there are more.
func renamed(d difference) (list []string) {
	for _, inst := range d.added {
		_, stopped := d.stopped[inst.Name()]
		if inst.Wanted && !stopped && slices.ContainsFunc(d.gone, func(old services.Instance) bool { return old.Service == inst.Service && old.Number == inst.Number }) {
			list = append(list, inst.Name())
		}
	}
	return list
}

// awaitUpFor waits until instances are ready in a later run than before, or have shown that they do not get there; not for long.
func (s *Supervisor) awaitUpFor(ctx context.Context, list []string, before map[string]uint64) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		changed := s.engine.Changed()
		if !slices.ContainsFunc(list, func(name string) bool {
			v, ok := s.engine.View(name)
			return !ok || v.Run <= before[name] || v.State != api.Ready && v.State != api.Backoff && v.State != api.Failed
		}) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}
