package supervisor

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sourcegraph/appliance/supervisor/process"
	"github.com/sourcegraph/appliance/supervisor/record"
)

// strays are the processes of a run outside any cgroup: those with its mark; without marks, what descends from its main process or
// carries its name in the environment.
func (h *Host) strays(l *life) []process.Proc {
	table, err := process.Scan()
	if err != nil {
		h.log.Error("look for processes", "service", l.inst.Name(), "err", err)
		return []process.Proc{{Name: "unknown"}} // not proved dead
	}
	var found []process.Proc
	if l.mark != 0 {
		found = table.Marked(l.mark)
	} else {
		found = table.EnvMarked(h.runName(l))
		if p := l.process(); p != nil {
			found = append(found, table.Descendants(p.PID())...)
		}
	}
	live := found[:0]
	for _, p := range found {
		if !p.Zombie() {
			live = append(live, p)
		}
	}
	return live
}

// runName is what a run's processes carry in their environment.
func (h *Host) runName(l *life) string { return h.markOf(l.inst.Name(), l.run) }

// markOf begins with our name: two appliances of one user have runs of the same name and number.
func (h *Host) markOf(instance string, run uint64) string {
	return h.appl + "/" + instance + "." + strconv.FormatUint(run, 10)
}

// clearMarked kills what an earlier supervisor left where no cgroup holds it together: what the environment shows to be ours, and the
// processes of run records with all that descends from them, unless the record explains what runs.
func (h *Host) clearMarked(known map[string]inherited) {
	explained := map[string]bool{}
	for _, in := range known {
		explained[h.markOf(in.rec.Name, in.rec.Run)] = true
	}
	recs, _, err := h.records.Load() // one that cannot be read explains nothing
	if err != nil {
		h.log.Warn("look for leftover processes", "err", err)
	}
	recs = slices.DeleteFunc(recs, func(r record.Record) bool {
		return r.PID == 0 || r.BootID != h.bootID || explained[h.markOf(r.Name, r.Run)]
	})
	deadline := time.Now().Add(leftoverPatience)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		left, err := h.leftovers(recs, explained)
		if err != nil || len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			h.log.Error("an earlier appliance left what cannot be killed", "processes", len(left))
			return
		}
		for _, p := range left {
			if err := p.Signal(killSignal); err != nil && !errors.Is(err, os.ErrProcessDone) {
				h.log.Error("kill what an earlier appliance left", "pid", p.PID, "err", err)
			}
		}
		time.Sleep(pause)
	}
}

// leftoverPatience is how long the start waits for the death of what was left.
const leftoverPatience = 10 * time.Second

func (h *Host) leftovers(recs []record.Record, explained map[string]bool) ([]process.Proc, error) {
	table, err := process.Scan()
	if err != nil {
		h.log.Error("look for leftover processes", "err", err)
		return nil, err
	}
	found := table.EnvMarkedAs(func(run string) bool { return strings.HasPrefix(run, h.appl+"/") && !explained[run] })
	for _, p := range table.All() {
		for _, r := range recs {
			if p.PID == r.PID && p.StartTime == r.StartTime {
				found = append(append(found, p), table.Descendants(p.PID)...)
			}
		}
	}
	return slices.DeleteFunc(found, func(p process.Proc) bool { return p.Zombie() || p.PID == os.Getpid() }), nil
}

// unkillableEvidence says what the kernel holds the processes in (E7).
func (h *Host) unkillableEvidence(name string) map[string]string {
	evidence := map[string]string{}
	u := h.unit(name)
	if u == nil {
		return evidence
	}
	l, _ := u.current()
	if l == nil {
		return evidence
	}
	var pids []int
	if l.group != nil {
		pids, _ = l.group.Pids() // an unreadable group is evidence of its own: none
	} else if p := l.process(); p != nil {
		pids = []int{p.PID()}
	}
	for _, pid := range pids {
		if st, err := process.StatOf(pid); err == nil {
			evidence["pid "+strconv.Itoa(pid)] = st.String()
		}
	}
	return evidence
}
