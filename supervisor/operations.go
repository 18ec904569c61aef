package supervisor

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
)

// Start starts instances and what they need, and returns when they are ready or have shown that they are not getting there.
func (s *Supervisor) Start(ctx context.Context, who api.Peer, names []string) (api.Operation, error) {
	chosen, err := s.resolvePlanned(names)
	if err != nil {
		return api.Operation{}, err
	}
	all := s.graph().withNeeds(chosen)
	s.command(who, "start", all)
	before := s.host.runs(all)
	if err := s.order(all, engine.Event{Kind: engine.StartWanted, Actor: actor(who)}); err != nil {
		return api.Operation{}, err
	}
	return s.awaitUp(ctx, all, func(v engine.View) bool { return v.Run > before[v.Name] || v.State == api.Ready })
}

// Restart ends and starts these instances and touches no others.
func (s *Supervisor) Restart(ctx context.Context, who api.Peer, names []string) (api.Operation, error) {
	chosen, err := s.resolvePlanned(names)
	if err != nil {
		return api.Operation{}, err
	}
	s.command(who, "restart", chosen)
	if err := s.takeBuilds(chosen); err != nil {
		return api.Operation{}, err
	}
	before := s.host.runs(chosen)
	if err := s.order(chosen, engine.Event{Kind: engine.RestartWanted, Actor: actor(who)}); err != nil {
		return api.Operation{}, err
	}
	op, err := s.awaitUp(ctx, chosen, func(v engine.View) bool { return v.Run > before[v.Name] })
	return op, err
}

// order tells instances to run, unless the appliance is stopping: what came up now would have to be killed.
func (s *Supervisor) order(names []string, ev engine.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping.Load() {
		return errStopping()
	}
	for _, name := range names {
		s.engine.Post(name, ev)
	}
	return nil
}

// beginStop lets no order to run come after it.
func (s *Supervisor) beginStop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopping.Swap(true) {
		close(s.stopBegun)
	}
}

func errStopping() error {
	return &api.Error{Code: 6, Message: "the appliance is stopping", Remedy: "start it again once it has ended: sourcegraph run"}
}

// awaitUp waits until each instance has come up, or has failed in a run that begun says is the one meant.
func (s *Supervisor) awaitUp(ctx context.Context, names []string, begun func(engine.View) bool) (api.Operation, error) {
	op := api.Operation{Affected: names}
	err := s.engine.Await(ctx, names, func(v engine.View) bool {
		switch v.State {
		case api.Ready:
			return begun(v)
		case api.Failed, api.Backoff:
			return begun(v)
		case api.Unkillable, api.Stopped:
			return true
		}
		return false
	})
	for _, name := range names {
		v, ok := s.engine.View(name)
		if ok && v.Forced && begun(v) {
			op.Killed = append(op.Killed, name)
			op.Messages = append(op.Messages, name+" did not stop in its grace period and was killed")
		}
		if ok && v.State != api.Ready {
			op.NotReady = append(op.NotReady, name)
			op.Messages = append(op.Messages, fmt.Sprintf("%s is %s: %s", name, v.State, v.Reason))
		}
	}
	return op, err
}

// Stop stops instances, first whatever needs them; none means all. The supervisor stays.
func (s *Supervisor) Stop(ctx context.Context, who api.Peer, names []string) (api.Operation, error) {
	chosen, err := s.resolve(names)
	if err != nil {
		return api.Operation{}, err
	}
	affected := s.graph().withDependents(chosen)
	s.command(who, "stop", affected)
	for _, name := range chosen {
		s.engine.Post(name, engine.Event{Kind: engine.StopWanted, Actor: actor(who)})
	}
	return s.awaitDown(ctx, affected, chosen)
}

func (s *Supervisor) awaitDown(ctx context.Context, affected, chosen []string) (api.Operation, error) {
	op := api.Operation{Affected: affected}
	err := s.awaitEach(ctx, affected, func(v engine.View) bool {
		if s.stuck(v) {
			return true
		}
		return !v.Alive && (v.Held || !slices.Contains(chosen, v.Name))
	})
	for _, name := range affected {
		v, _ := s.engine.View(name)
		if v.Killed {
			op.Killed = append(op.Killed, name)
			op.Messages = append(op.Messages, name+" did not stop in its grace period and was killed")
		}
		if v.State == api.Unkillable {
			op.Killed = append(op.Killed, name)
			op.Messages = append(op.Messages, fmt.Sprintf("%s cannot be killed: %s", name, v.Reason))
		} else if s.stuck(v) {
			op.Killed = append(op.Killed, name)
			op.Messages = append(op.Messages, s.stuckText(v))
		}
	}
	return op, err
}

// stopAll is the ordered stop of everything within the budget. It returns what had to be killed, or still lives.
func (s *Supervisor) stopAll(by string, budget time.Duration) (killed []string) {
	insts := s.instances()
	graces, names := graces(insts, budget), names(insts)
	before := map[string]engine.View{}
	for _, name := range names {
		before[name], _ = s.engine.View(name)
		s.engine.Post(name, engine.Event{Kind: engine.StopWanted, Actor: by, Grace: graces[name], Shutdown: true})
	}
	// What its grace cannot end is killed, and what that cannot end is unkillable: stage 0 holds the deadline behind that.
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	_ = s.engine.Await(ctx, names, func(v engine.View) bool { return v.State == api.Stopped || v.State == api.Unkillable })
	for _, name := range names {
		v, _ := s.engine.View(name)
		ours := before[name].Alive || v.Run != before[name].Run // what an earlier stop killed was said then
		if v.Killed && ours || v.State != api.Stopped {
			killed = append(killed, name)
		}
	}
	return killed
}

// killMargin of the stop budget is left for SIGKILL and proof.
const killMargin = 10

// graces shares the budget out: along the longest chain of needs the graces add up to no more than the budget. An instance with a
// weight (PostgreSQL's fast shutdown) gets the last third of it. One that is only waited for (a migrator) has all that comes before:
// what needs it does not run while it does, so it takes nothing from anybody.
func graces(insts []services.Instance, budget time.Duration) map[string]time.Duration {
	budget -= budget / killMargin
	g := newGraph(insts)
	heavy := g.longest(func(i services.Instance) time.Duration {
		if i.Stop.Weight > 0 {
			return i.Stop.Grace
		}
		return 0
	})
	light := g.longest(func(i services.Instance) time.Duration {
		if i.Stop.Weight > 0 || i.Stop.Wait {
			return 0
		}
		return i.Stop.Grace
	})
	scale := func(grace, longest, share time.Duration) time.Duration {
		if longest <= share {
			return grace
		}
		return max(time.Millisecond, time.Duration(float64(grace)*float64(share)/float64(longest)))
	}
	third := budget / 3
	if heavy < third {
		third = heavy
	}
	last := max(third, budget-light)
	out := map[string]time.Duration{}
	for _, i := range insts {
		switch {
		case i.Stop.Weight > 0:
			out[i.Name()] = scale(i.Stop.Grace, heavy, last)
		case i.Stop.Wait:
			out[i.Name()] = min(i.Stop.Grace, budget-min(heavy, last))
		default:
			out[i.Name()] = scale(i.Stop.Grace, light, budget-third)
		}
	}
	return out
}

// resolve turns services and instances into instances, those included that have left the plan and are not dead; none means all.
func (s *Supervisor) resolve(names []string) ([]string, error) {
	return resolveIn(s.instances(), names)
}

// resolvePlanned is resolve for what shall run.
func (s *Supervisor) resolvePlanned(names []string) ([]string, error) {
	return resolveIn(s.plan().Instances, names)
}

func resolveIn(insts []services.Instance, names []string) ([]string, error) {
	var out []string
	if len(names) == 0 {
		for _, i := range insts {
			out = append(out, i.Name())
		}
		return out, nil
	}
	for _, name := range names {
		found := false
		for _, i := range insts {
			if i.Service == name || i.Name() == name || fmt.Sprintf("%s/%d", i.Service, i.Number) == name {
				out, found = append(out, i.Name()), true
			}
		}
		if !found {
			return nil, unknownService(name, insts)
		}
	}
	sort.Strings(out)
	return slices.Compact(out), nil
}

func unknownService(name string, insts []services.Instance) error {
	var known []string
	for _, i := range insts {
		known = append(known, i.Name())
	}
	sort.Strings(known)
	return &api.Error{Code: 2, Message: fmt.Sprintf("there is no service %q", name), Remedy: "use one of: " + strings.Join(known, " ")}
}

func (s *Supervisor) command(who api.Peer, verb string, names []string) {
	s.event(api.Event{Kind: "command", Message: verb + " " + strings.Join(names, " "), Actor: actor(who), Services: names})
}

func actor(who api.Peer) string {
	if who.Command == "" {
		return fmt.Sprintf("uid %d", who.UID)
	}
	return fmt.Sprintf("uid %d: %s", who.UID, who.Command)
}
