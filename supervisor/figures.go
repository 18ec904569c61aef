package supervisor

import (
	"context"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/door"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/metrics"
)

// figures is the supervisor as a [metrics.Source].
type figures struct {
	s     *Supervisor
	doors metrics.Doors
}

// Snapshot implements [metrics.Source].
func (f *figures) Snapshot(ctx context.Context) metrics.Snapshot {
	s, plan := f.s, f.s.plan()
	snap := metrics.Snapshot{
		Version: s.opts.Version, Product: plan.Product, Release: plan.Version, Limits: s.grade.Limits, Isolation: s.grade.Isolation,
		Ready: s.ready(), Stopping: s.stopping.Load(), Since: s.since, Lives: uint64(max(0, s.hello.Run)),
	}
	for _, inst := range append([]services.Instance{s.doorInstance()}, s.instances()...) {
		if u := s.host.unit(inst.Name()); u != nil {
			snap.Instances = append(snap.Instances, s.instanceFigures(u))
		}
	}
	kept := s.store.Stats()
	snap.Events = metrics.Events{Open: kept.Open, Appended: kept.Appended, Written: kept.Written, Dropped: kept.Dropped}
	f.askDoor(ctx, &snap)
	host, faults := hostFigures(ctx, s.opts.Roster.DataDir)
	snap.Host, snap.SnapshotFaults = &host, snap.SnapshotFaults+faults
	return snap
}

func (s *Supervisor) instanceFigures(u *unit) metrics.Instance {
	v, _ := s.engine.View(u.name)
	inst, counted := u.instance(), u.pump.Stats()
	l, _ := u.current()
	s.host.countOOMs(u, l)
	out := metrics.Instance{
		Service: inst.Service, Number: inst.Number, State: string(v.State), Wanted: v.Wanted, Since: v.Since, Run: v.Run,
		MemoryLimit: inst.Budget.Memory, Tally: u.tally.Counts(),
		Log: metrics.Log{
			Lines: counted.Lines, Bytes: counted.Bytes, DroppedLines: counted.DroppedLines, DroppedBytes: counted.DroppedBytes, Waiting: counted.Waiting,
		},
	}
	if v.Alive {
		out.ReadySince, out.Use = v.ReadySince, l.use()
	}
	return out
}

// tallied is the part of a view that is counted.
func tallied(v engine.View) metrics.View {
	out := metrics.View{State: string(v.State), Since: v.Since, Restarts: v.Restarts, Killed: v.Killed}
	if v.LastExit != nil {
		out.Cause = string(v.LastExit.Cause)
	}
	return out
}

// countOOMs takes over what the kernel has killed in a run's cgroup since it was last asked.
func (h *Host) countOOMs(u *unit, l *life) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.group == nil {
		return
	}
	if n, err := l.group.OOMKills(); err == nil && n > l.ooms+l.oomsCounted {
		u.tally.OOMKilled(n - l.ooms - l.oomsCounted)
		l.oomsCounted = n - l.ooms
	}
}

// countedBefore takes what the kernel has killed in an adopted run's cgroup for counted: the supervisor before has done it.
func (l *life) countedBefore() {
	if l.group == nil {
		return
	}
	if n, err := l.group.OOMKills(); err == nil {
		l.oomsCounted = n - l.ooms
	}
}

// use is what the run's processes use now; nil if there are none.
func (l *life) use() *metrics.Use {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	group, p := l.group, l.proc
	l.mu.Unlock()
	var use metrics.Use
	if p != nil {
		use = processFigures(p.PID(), group == nil)
	}
	if group == nil {
		return &use
	}
	if usage, err := group.Usage(); err == nil {
		use.CPU, use.Tasks, use.MemoryPeak = usage.CPU, usage.Pids, usage.MemoryPeak
		if usage.Memory > 0 {
			use.Memory = usage.Memory
		}
	}
	if pids, err := group.Pids(); err == nil {
		use.Processes = len(pids)
	}
	if use.Memory == 0 && p != nil {
		use.Memory, _ = processUse(p.PID())
	}
	return &use
}

// askDoor adds the door's figures, or those of its last answer.
func (f *figures) askDoor(ctx context.Context, snap *metrics.Snapshot) {
	stats, err := f.s.host.door.stats(ctx)
	if err != nil {
		snap.Door = f.doors.Last()
		snap.SnapshotFaults++
		return
	}
	sum := f.doors.Add(doorFigures(stats))
	snap.Door, snap.DoorAnswered = &sum, true
}

func doorFigures(s door.Stats) metrics.Door {
	out := metrics.Door{
		PID: s.PID, Since: s.Since, Requests: map[metrics.Answer]uint64{}, Bounds: door.Buckets[:], Latency: s.Latency[:], Seconds: s.LatencySum,
		HeldTotal: s.HeldTotal, HeldRefused: s.HeldRefused, Refused: s.Refused, BytesIn: uint64(max(0, s.BytesIn)), BytesOut: uint64(max(0, s.BytesOut)),
		Connections: s.Connections, InFlight: int(s.InFlight), Held: s.Held, CertificateOK: s.TLSError == "", Draining: s.Draining,
	}
	if s.Certificate != nil {
		out.CertificateEnd = s.Certificate.NotAfter
	}
	for mode, codes := range s.Requests {
		for code, n := range codes {
			out.Requests[metrics.Answer{Mode: string(mode), Code: code}] = n
		}
	}
	return out
}
