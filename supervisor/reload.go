package supervisor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/roster"
)

// Reload reads the configuration again and applies the difference: first it stops what vanished, then it starts what is new,
// then it restarts what runs differently, and last, once nobody has them on a list any more, it stops replicas beyond the new number.
// An invalid configuration is refused whole; the old plan goes on.
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
	if err := checkDescriptors(len(next.Plan.Instances)); err != nil {
		return api.Change{}, asAPIError(err)
	}
	if _, err := s.admitExposed(next, false); err != nil {
		return api.Change{}, asAPIError(err)
	}
	front, err := s.openFront(next)
	if err != nil {
		return api.Change{}, asAPIError(err)
	}
	was := s.plan().Instances
	d, turned, change := s.changeTo(next)
	if err := s.keepAccepted(next); err != nil { // first: what dies from here on finds the plan that was being applied
		return change, err
	}
	leave := s.leaving(next.Plan.Instances)
	withdraw := func(gone []string) error {
		stuck, err := s.withdraw(ctx, gone)
		change.Warnings = append(change.Warnings, stuck...)
		return err
	}
	if err := withdraw(leave.vanished); err != nil {
		return change, err
	}
	if err := s.adoptPlan(next, front); err != nil {
		return change, err
	}
	s.keepHistory(next, actor(who))
	change.Warnings = append(change.Warnings, next.HoldPorts(s.opts.Roster.Ports)...)
	s.certificate.use(s.site().TLS)
	s.reach.again()
	if err := s.host.door.listen(front.Listeners, nil); err != nil {
		change.Warnings = append(change.Warnings, "still listening where it did before: "+err.Error())
	}
	if err := s.metrics.move(s.metricsAddress()); err != nil {
		change.Warnings = append(change.Warnings, err.Error())
	}
	s.host.logs.Redactor.Set(s.secretValues())
	s.replace(slices.Concat(d.same, d.changed, d.back))
	if err := withdraw(leave.renamed); err != nil {
		return change, err
	}
	by := actor(who)
	if err := s.order(names(d.back), engine.Event{Kind: engine.StartWanted, Actor: by}); err != nil {
		return change, err
	}
	if err := s.add(d.added, d.stopped); err != nil {
		return change, err
	}
	s.awaitUpFor(ctx, renamed(d), nil)
	runs := s.host.runs(names(turned))
	if err := s.restartChanged(ctx, turned, was, by); err != nil {
		return change, err
	}
	if len(leave.surplus) > 0 {
		if err := s.awaitTurned(ctx, turned, runs); err != nil {
			return change, err
		}
	}
	if err := withdraw(leave.surplus); err != nil {
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

// changeTo is what another roster changes: the difference of the plans, what of it runs anew, and all of it in words.
func (s *Supervisor) changeTo(next *roster.Roster) (d difference, turned []services.Instance, change api.Change) {
	now := s.rosterNow()
	d = compare(now.Plan.Instances, next.Plan.Instances)
	d.added, d.back = s.apart(d.added)
	d.stopped = s.stopsThatFollow(d.added, now.Plan.Instances)
	started := slices.DeleteFunc(slices.Concat(d.added, d.back), func(inst services.Instance) bool { _, stopped := d.stopped[inst.Name()]; return stopped })
	turned, left := s.withoutStopped(d.changed, now.Plan.Instances)
	return d, turned, api.Change{
		Unchanged: names(slices.Concat(d.same, left)), Restarted: names(turned), Started: names(started), Stopped: names(d.gone),
		Settings: roster.Differing(now.Site, next.Site), Warnings: slices.Concat(next.Warnings, roster.ShardCosts(now.Plan, next.Plan)),
	}
}

// adoptPlan makes a plan the present one, unless the appliance is stopping the old one.
func (s *Supervisor) adoptPlan(next *roster.Roster, front opened) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return errStopping()
	}
	s.roster, s.open = next, front
	return nil
}

// stoppedByOperator says whether an instance that the old plan wanted was stopped by a person: that holds until a person's start, and the
// new definition counts from then on.
func (s *Supervisor) stoppedByOperator(inst services.Instance, was []services.Instance) bool {
	v, ok := s.engine.View(inst.Name())
	return ok && !v.Wanted && slices.ContainsFunc(was, func(old services.Instance) bool { return old.Name() == inst.Name() && old.Wanted })
}

// stopsThatFollow are the new instances that stay stopped, as a person wanted it of the same replica under its other name (gitserver is gitserver/0
// once there are more), or of every replica that the service had.
func (s *Supervisor) stopsThatFollow(added, was []services.Instance) map[string]inherited {
	follow := map[string]inherited{}
	for _, inst := range added {
		var by []string // of the service's replicas
		running := false
		for _, old := range was {
			if old.Service != inst.Service {
				continue
			}
			v, _ := s.engine.View(old.Name())
			stopped := s.stoppedByOperator(old, was)
			if old.Number == inst.Number {
				by, running = []string{v.StoppedBy}, !stopped
				break
			}
			by, running = append(by, v.StoppedBy), running || !stopped
		}
		if inst.Wanted && len(by) > 0 && !running {
			follow[inst.Name()] = inherited{view: engine.View{Name: inst.Name(), StoppedBy: by[0], Since: time.Now()}}
		}
	}
	return follow
}

// difference is what a new plan changes.
type difference struct {
	same, changed, added, gone []services.Instance
	back                       []services.Instance  // added again while an earlier run of it cannot be killed
	stopped                    map[string]inherited // of the added, those that a person's stop follows
}

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

// apart tells instances that are new from those that left an earlier plan and could not be stopped.
func (s *Supervisor) apart(added []services.Instance) (fresh, back []services.Instance) {
	for _, inst := range added {
		if s.host.unit(inst.Name()) != nil {
			back = append(back, inst)
		} else {
			fresh = append(fresh, inst)
		}
	}
	return fresh, back
}

// withoutStopped tells the instances that follow their new definition at once from those that an operator has stopped.
func (s *Supervisor) withoutStopped(changed, was []services.Instance) (turned, left []services.Instance) {
	for _, inst := range changed {
		if s.stoppedByOperator(inst, was) {
			left = append(left, inst)
		} else {
			turned = append(turned, inst)
		}
	}
	return turned, left
}

// leaving are the instances that a plan does not have.
type leaving struct {
	vanished []string // with their whole service: they stop first (E58)
	renamed  []string // gitserver is gitserver/0 once there are more: they stop when nobody needs them by the old name any more, just before the other takes their place
	surplus  []string // beyond a lower number of replicas: they stop last, when nobody has them on a list any more
}

func (s *Supervisor) leaving(plan []services.Instance) (l leaving) {
	for _, inst := range s.host.besides(plan) {
		same := func(i services.Instance) bool { return i.Service == inst.Service }
		switch {
		case !slices.ContainsFunc(plan, same):
			l.vanished = append(l.vanished, inst.Name())
		case slices.ContainsFunc(plan, func(i services.Instance) bool { return same(i) && i.Number == inst.Number }):
			l.renamed = append(l.renamed, inst.Name())
		default:
			l.surplus = append(l.surplus, inst.Name())
		}
	}
	return l
}

// withdraw stops instances that have left the plan, and forgets them. What cannot be killed is said with its evidence and left: the next reload
// looks at it again (E7).
func (s *Supervisor) withdraw(ctx context.Context, gone []string) (stuck []string, err error) {
	for _, name := range gone {
		s.engine.Post(name, engine.Event{Kind: engine.StopWanted, Actor: "reload"})
	}
	err = s.awaitEach(ctx, gone, func(v engine.View) bool { return v.State == api.Stopped || s.stuck(v) })
	if err != nil {
		return nil, err
	}
	for _, name := range gone {
		if v, _ := s.engine.View(name); v.State != api.Stopped {
			stuck = append(stuck, s.stuckText(v))
			continue
		}
		s.engine.Remove([]string{name})
		s.host.close(name)
	}
	return stuck, nil
}

// stuck says that a stop does not come to its end by itself: the instance cannot be killed, or waits for one that cannot.
func (s *Supervisor) stuck(v engine.View) bool {
	return v.State == api.Unkillable || v.State == api.Stopping && slices.ContainsFunc(v.WaitingFor, func(name string) bool {
		other, ok := s.engine.View(name)
		return ok && s.stuck(other)
	})
}

func (s *Supervisor) stuckText(v engine.View) string {
	if v.State != api.Unkillable {
		return fmt.Sprintf("%s is still there: its stop waits for %s", v.Name, strings.Join(v.WaitingFor, ", "))
	}
	var evidence []string
	for what, how := range s.host.unkillableEvidence(v.Name) {
		evidence = append(evidence, what+" "+how)
	}
	slices.Sort(evidence)
	return fmt.Sprintf("%s is still there and cannot be killed: %s: %s", v.Name, v.Reason, strings.Join(evidence, "; "))
}

// awaitEach returns once done holds for each instance that is still there; unlike [engine.Engine.Await], done may look at others.
func (s *Supervisor) awaitEach(ctx context.Context, names []string, done func(engine.View) bool) error {
	for {
		change := s.engine.Changed()
		if !slices.ContainsFunc(names, func(name string) bool {
			v, ok := s.engine.View(name)
			return ok && !done(v)
		}) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-change:
		}
	}
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
