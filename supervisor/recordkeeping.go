package supervisor

import (
	"errors"
	"os"
	"syscall"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/process"
	"github.com/sourcegraph/appliance/supervisor/record"
	"github.com/sourcegraph/appliance/supervisor/stage0"
)

// keepRecord writes what the next supervisor must know. A disk that is full does not stop the service: the record goes to stage 0.
func (h *Host) keepRecord(u *unit, l *life) {
	u.keeping.Lock() // an older record must not overtake a newer one
	defer u.keeping.Unlock()
	u.mu.Lock()
	r := h.recordOf(u, l)
	u.mu.Unlock()
	err := h.records.Write(r)
	var full *record.FullError
	if errors.As(err, &full) {
		err = h.keepInMemory(r)
	}
	if err != nil {
		h.log.Error("keep the run record", "service", u.name, "err", err)
	}
}

func (h *Host) keepInMemory(r record.Record) error {
	f, err := r.Memfd()
	if err != nil {
		return err
	}
	defer f.Close()
	return h.conn.Send(stage0.Message{Type: stage0.Store, Name: "run/" + r.Name, Files: []*os.File{f}})
}

func (h *Host) recordOf(u *unit, l *life) record.Record {
	v := u.view
	r := record.Record{
		Name: u.name, Service: u.inst.Service, Run: v.Run, PID: v.PID, BootID: h.bootID, UID: h.uidOf(u.inst), Addresses: u.inst.Addresses,
		State: string(v.State), Since: v.Since, Reason: v.Reason, Evidence: v.Evidence, ReadySince: v.ReadySince, Restarts: v.Restarts, Failures: v.Streaks, Hash: v.InstanceSum,
		PlanHash: h.planHash(), Ordered: v.Ordered, Completed: v.Completed,
	}
	if l != nil && l.run >= v.Run {
		l.mu.Lock()
		defer l.mu.Unlock()
		r.Run, r.Mark, r.Hash = l.run, l.mark, l.inst.Hash
		if l.group != nil {
			r.Cgroups = l.group.Paths()
		}
		if l.proc != nil && v.Alive {
			r.PID, r.StartTime = l.proc.PID(), l.proc.StartTime()
		}
	}
	if !v.Wanted && v.StoppedBy != "" {
		r.Stopped = &record.Stopped{By: v.StoppedBy, At: v.Since}
	}
	if v.State == api.Backoff {
		r.Backoff = &record.Backoff{Until: v.Until}
	}
	if e := v.LastExit; e != nil {
		r.Exits = []record.Exit{{At: e.At.Time, Run: v.Run, Cause: string(e.Cause), Status: statusOf(*e), Known: true}}
	}
	return r
}

// statusOf is the exit as wait4(2) encodes it.
func statusOf(e api.Exit) int {
	for n := syscall.Signal(1); e.Signal != "" && n < 65; n++ {
		if (process.Exit{Signal: n}).SignalName() == e.Signal {
			return int(n)
		}
	}
	return e.Code << 8
}

// viewOf is the state that a record restores.
func viewOf(r record.Record) engine.View {
	v := engine.View{
		Name: r.Name, State: api.State(r.State), Since: r.Since, Reason: r.Reason, Evidence: r.Evidence, Wanted: r.Stopped == nil && r.State != string(api.Stopped), Run: r.Run, PID: r.PID,
		Restarts: r.Restarts, ReadySince: r.ReadySince, Streaks: r.Failures, InstanceSum: r.Hash, Ordered: r.Ordered,
	}
	switch v.State {
	case api.Starting, api.Ready, api.Degraded, api.Stopping, api.Unkillable:
		v.Alive = true
	}
	if r.Completed && v.State == api.Ready {
		v.Alive, v.Completed = false, true
	}
	if r.Stopped != nil {
		v.StoppedBy = r.Stopped.By
	}
	if r.Backoff != nil {
		v.Until = r.Backoff.Until
	}
	if len(r.Exits) > 0 {
		e := process.ExitOf(r.Exits[0].Status)
		v.LastExit = &api.Exit{At: api.Time{Time: r.Exits[0].At}, Cause: api.Cause(r.Exits[0].Cause), Code: e.Code, Signal: e.SignalName()}
	}
	return v
}
