package supervisor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/process"
	"github.com/sourcegraph/appliance/supervisor/record"
	"github.com/sourcegraph/appliance/supervisor/stage0"
)

// inherited is what an earlier stage 1 of the same stage 0 left for an instance of the plan.
type inherited struct {
	view engine.View
	rec  record.Record
}

// inheritance reads the run records, those that stage 0 holds for want of disk included, which are newer. Records of another boot
// explain nothing that runs.
func (h *Host) inheritance() map[string]inherited {
	recs, faults, err := h.records.Load()
	for _, f := range faults {
		h.log.Warn("run record", "err", f)
	}
	if err != nil {
		h.log.Error("run records", "err", err)
	}
	for name, files := range h.stored {
		if !strings.HasPrefix(name, "run/") || len(files) != 1 {
			continue
		}
		if r, err := record.FromMemfd(files[0]); err == nil {
			recs = append(recs, r)
		}
	}
	out := map[string]inherited{}
	for _, r := range recs {
		if r.BootID == h.bootID {
			out[r.Name] = inherited{viewOf(r), r}
		}
	}
	return out
}

// forsake takes out what has left the plan since its record was written: nothing explains it any more, so that it counts as left over. What
// could not be killed before is not tried again at length.
func (s *Supervisor) forsake(before map[string]inherited) (gone []string, undead []leftover) {
	planned := append(names(s.plan().Instances), doorName)
	for name, in := range before {
		switch {
		case slices.Contains(planned, name):
			continue
		case in.view.State == api.Unkillable:
			undead = append(undead, leftover{rec: in.rec})
		default:
			gone = append(gone, name)
		}
		delete(before, name)
	}
	return gone, undead
}

// discard gives up what was kept for instances that are proved dead.
func (h *Host) discard(gone []string) {
	for _, name := range gone {
		h.tell(stage0.Message{Type: stage0.Drop, Name: "log/" + name})
		h.tell(stage0.Message{Type: stage0.Drop, Name: "run/" + name})
		if err := h.records.Remove(name); err != nil {
			h.log.Warn("remove the run record", "service", name, "err", err)
		}
	}
}

// resume takes the process of an inherited run over, before its machine begins. After it has begun, the returned function tells the
// machine what happened meanwhile.
func (h *Host) resume(u *unit, in inherited) (after func()) {
	r := in.rec
	l := newLife(r.Run, u.inst)
	l.inst.Hash = r.Hash
	l.mark, l.before = r.Mark, true
	close(l.up)
	u.life = l
	u.view = in.view
	u.tally.Resume(tallied(in.view))
	if len(r.Cgroups) > 0 {
		group, err := h.tree.AdoptAt(groupName(u.inst, r.Run), r.Cgroups)
		if err != nil && in.view.Alive { // what is over has none any more
			h.log.Warn("adopt the cgroup", "service", u.name, "err", err)
		}
		l.group = group
		l.countedBefore()
	}
	if !in.view.Alive || u.inst.Kind == services.KindExternal { // no process
		close(l.ended)
		return func() {}
	}
	p, err := h.adoptProcess(r)
	if err != nil {
		return func() { h.endedMeanwhile(u, l, err) }
	}
	l.proc = p
	if in.view.State != api.Starting {
		l.signalReady()
	}
	h.watchLog(u, l)
	if probe := u.inst.Ready; probe != nil && probe.Notify {
		if err := h.listenNotify(u, l, r.UID); err != nil {
			h.log.Warn("listen for the notifications of an adopted service", "service", u.name, "err", err)
		}
	}
	h.tell(stage0.Message{Type: stage0.Know, Name: u.name, Run: l.run, PID: p.PID(), StartTime: p.StartTime(), Cgroup: l.cgroups()})
	h.events(api.Event{Service: u.name, Run: r.Run, Kind: "adopted", To: in.view.State, Message: fmt.Sprintf("process %d taken over by a new supervisor", p.PID())})
	return func() {
		go func() {
			h.awaitExit(u, l, p)
			close(l.ended)
		}()
	}
}

func (h *Host) adoptProcess(r record.Record) (*process.Process, error) {
	if r.PID == 0 {
		return nil, fmt.Errorf("%s was about to start when the supervisor ended", r.Name)
	}
	return process.Adopt(r.PID, r.StartTime)
}

// endedMeanwhile tells the machine of an end that nobody saw. Whatever is left of the run is killed before it starts again.
func (h *Host) endedMeanwhile(u *unit, l *life, why error) {
	go func() {
		ev := engine.Event{Kind: engine.Exited, Run: l.run, Exit: api.Exit{Cause: api.CauseExit}, Err: why}
		if exit, ok := h.exits.take(u.name, l.run, 0); ok {
			ev.Exit = h.exitOf(l, exit)
		} else {
			ev.Expected = true // how it ended is not known, so it is not held against it
		}
		h.hearOut(u, l)
		ev.Expected = ev.Expected || l.expected.Load()
		if line := l.final.Load(); line != nil && (ev.Expected || ev.Exit.Code != 0) {
			ev.Final = *line
		}
		h.tell(stage0.Message{Type: stage0.Ack, Name: u.name, Run: l.run})
		h.engine.Post(u.name, ev)
		close(l.ended)
	}()
}
