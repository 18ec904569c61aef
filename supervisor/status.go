package supervisor

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
)

// Status is what `status` shows; see interface.md.
func (s *Supervisor) Status(_ context.Context, names []string) (api.Status, error) {
	chosen, err := s.resolve(names)
	if err != nil {
		return api.Status{}, err
	}
	st := api.Status{Schema: 1, Appliance: s.appliance()}
	for _, inst := range s.instances() {
		if slices.Contains(chosen, inst.Name()) {
			st.Services = append(st.Services, s.service(inst))
		}
	}
	return st, nil
}

func (s *Supervisor) appliance() api.Appliance {
	plan := s.plan()
	a := api.Appliance{
		Version: s.opts.Version, Release: plan.Product + "-" + plan.Version, Ready: s.ready(), Since: api.Time{Time: s.since}, Address: s.address(),
		PID: os.Getpid(), Stage0PID: s.hello.PID, DoorPID: s.host.door.pid(), SetupURL: s.setupURL(), Grade: s.gradeNow(), Config: s.onDisk.state(), Warnings: emptyNotNil(s.warned.now()),
	}
	if plan.Product == "none" {
		a.Release = "none"
	}
	return a
}

// gradeNow is the grade with what has shown itself since the start.
func (s *Supervisor) gradeNow() api.Grade {
	g := s.grade
	if s.host.unseen.Load() {
		g.Why = append(slices.Clone(g.Why), "a service is ready once its port answers: "+errUnseen.Error())
	}
	return g
}

// ready says whether the product answers: everything that is wanted and not optional is ready.
func (s *Supervisor) ready() bool {
	for _, inst := range s.plan().Instances {
		if v, ok := s.engine.View(inst.Name()); inst.Wanted && (!ok || v.State != api.Ready) {
			return false
		}
	}
	return true
}

func (s *Supervisor) service(inst services.Instance) api.Service {
	v, _ := s.engine.View(inst.Name())
	u := s.host.unit(inst.Name())
	out := api.Service{
		Name: inst.Service, Instance: inst.Number, Replicas: inst.Replicas, Kind: string(inst.Kind), Wanted: v.Wanted, State: v.State,
		Since: api.Time{Time: v.Since}, Reason: v.Reason, WaitingFor: emptyNotNil(v.WaitingFor), StoppedBy: v.StoppedBy, PID: v.PID, Run: v.Run,
		Restarts: v.Restarts, LastExit: v.LastExit, Addresses: inst.Addresses, Program: inst.Program, Source: inst.Source, Loss: inst.Loss,
		Needs: emptyNotNil(inst.Needs),
		Budget: api.Budget{
			MemoryMaxBytes: inst.Budget.Memory, CPUWeight: inst.Budget.CPUWeight, PidsMax: inst.Budget.Pids, Grade: s.grade.Limits,
		},
	}
	if v.State == api.Unkillable {
		out.Reason = fmt.Sprintf("%s: %s; %s", v.Reason, s.host.stuckIn(inst.Name()), unkillableRemedy)
	}
	if u != nil {
		s.host.use(u, v, &out)
	}
	return out
}

// use adds what the instance uses now.
func (h *Host) use(u *unit, v engine.View, out *api.Service) {
	l, _ := u.current()
	if l == nil || !v.Alive {
		return
	}
	l.mu.Lock()
	group, p := l.group, l.proc
	l.mu.Unlock()
	if group != nil {
		if usage, err := group.Usage(); err == nil {
			out.MemoryBytes, out.CPUSeconds = usage.Memory, usage.CPU.Seconds()
			if usage.Memory > 0 {
				return
			}
		}
	}
	if p != nil {
		out.MemoryBytes, out.CPUSeconds = processUse(p.PID())
	}
}

func emptyNotNil(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}
