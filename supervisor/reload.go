package supervisor

import (
	"context"
	"fmt"
	"slices"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/roster"
	"github.com/sourcegraph/appliance/supervisor/stage0"
)

// Reload reads the configuration again and applies the difference: first it stops what vanished, then it starts what is new,
// then it restarts what runs differently. An invalid configuration is refused whole; the old plan goes on.
func (s *Supervisor) Reload(ctx context.Context, who api.Peer) (api.Change, error) {
	ctx = context.WithoutCancel(ctx) // who asked may go; half a reload must not stay
	s.opLock.Lock()
	defer s.opLock.Unlock()
	if s.stopping.Load() {
		return api.Change{}, errStopping()
	}
	s.event(api.Event{Kind: "command", Message: "reload", Actor: actor(who)})
	next, err := roster.Load(s.opts.Roster)
	if err != nil {
		return api.Change{}, asAPIError(err)
	}
	d := compare(s.plan().Instances, next.Plan.Instances)
	costs := roster.ShardCosts(s.plan(), next.Plan)
	change := api.Change{
		Unchanged: names(d.same), Restarted: names(d.changed), Started: names(d.added), Stopped: names(d.gone), Warnings: slices.Concat(next.Warnings, costs),
	}
	if err := s.withdraw(ctx, d.gone); err != nil {
		return change, err
	}
	before := s.site()
	was := s.plan().Instances
	if err := s.adoptPlan(next); err != nil {
		return change, err
	}
	change.Warnings = append(change.Warnings, next.HoldPorts(s.opts.Roster.Ports)...)
	if err := s.relisten(before); err != nil {
		change.Warnings = append(change.Warnings, err.Error())
	}
	if err := s.metrics.move(string(s.site().Metrics.Listen)); err != nil {
		change.Warnings = append(change.Warnings, err.Error())
	}
	if err := s.keepAccepted(next); err != nil {
		return change, err
	}
	s.host.logs.Redactor.Set(s.secretValues())
	s.replace(slices.Concat(d.same, d.changed))
	if err := s.add(d.added, nil); err != nil {
		return change, err
	}
	s.awaitUpFor(ctx, renamed(d), nil)
	if err := s.restartChanged(ctx, d.changed, was, actor(who)); err != nil {
		return change, err
	}
	if s.stopping.Load() { // the stop came meanwhile, and may not have seen what was added
		for _, inst := range d.added {
			s.engine.Post(inst.Name(), engine.Event{Kind: engine.StopWanted, Actor: "shutdown", Shutdown: true})
		}
	}
	s.showDoor()
	return change, nil
}

// adoptPlan makes a plan the present one, unless the appliance is stopping the old one.
func (s *Supervisor) adoptPlan(next *roster.Roster) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return errStopping()
	}
	s.roster = next
	return nil
}

// stoppedByOperator says whether an instance that the old plan wanted was stopped by a person: that holds until a person's start, and the
// new definition counts from then on.
func (s *Supervisor) stoppedByOperator(inst services.Instance, was []services.Instance) bool {
	v, ok := s.engine.View(inst.Name())
	return ok && !v.Wanted && slices.ContainsFunc(was, func(old services.Instance) bool { return old.Name() == inst.Name() && old.Wanted })
}

// relisten opens the front door where the new configuration wants it, and closes the old one. An address that cannot be had leaves the old in place.
func (s *Supervisor) relisten(before roster.Site) error {
	now := s.site()
	if now.Listen == before.Listen && now.TLS == before.TLS {
		return nil
	}
	if err := s.host.door.listen(string(now.Listen), now.TLS.Cert != "", nil); err != nil {
		return fmt.Errorf("still listening on %s: %w", before.Listen, listenError(string(now.Listen), err))
	}
	if now.Listen != before.Listen {
		s.host.tell(stage0.Message{Type: stage0.Drop, Name: "listen/" + string(before.Listen)})
	}
	return nil
}

// difference is what a new plan changes.
type difference struct{ same, changed, added, gone []services.Instance }

func compare(old, next []services.Instance) (d difference) {
	before := map[string]services.Instance{}
	for _, i := range old {
		before[i.Name()] = i
	}
	for _, i := range next {
		was, ok := before[i.Name()]
		switch {
		case !ok:
			d.added = append(d.added, i)
		case was.Hash != i.Hash || was.Wanted != i.Wanted:
			d.changed = append(d.changed, i)
		default:
			d.same = append(d.same, i)
		}
		delete(before, i.Name())
	}
	for _, i := range old {
		if _, ok := before[i.Name()]; ok {
			d.gone = append(d.gone, i)
		}
	}
	return d
}

// withdraw stops instances that left the plan, and forgets them.
func (s *Supervisor) withdraw(ctx context.Context, gone []services.Instance) error {
	list := names(gone)
	for _, name := range list {
		s.engine.Post(name, engine.Event{Kind: engine.StopWanted, Actor: "reload"})
	}
	if err := s.engine.Await(ctx, list, func(v engine.View) bool { return v.State == api.Stopped }); err != nil {
		return err
	}
	s.engine.Remove(list)
	for _, name := range list {
		s.host.close(name)
	}
	return nil
}

// replace gives what stays its new definition: probes, stop rules and log bounds count at once, the rest from the next run on.
func (s *Supervisor) replace(insts []services.Instance) {
	for _, inst := range insts {
		if u := s.host.unit(inst.Name()); u != nil {
			u.replan(inst)
		}
	}
	s.engine.Replan(insts)
}

func names(insts []services.Instance) []string {
	out := []string{}
	for _, i := range insts {
		out = append(out, i.Name())
	}
	return out
}
