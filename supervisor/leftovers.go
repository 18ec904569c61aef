package supervisor

import (
	"strconv"

	"github.com/sourcegraph/appliance/supervisor/process"
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
		found = table.EnvMarked(runName(l))
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

func runName(l *life) string { return l.inst.Name() + "." + strconv.FormatUint(l.run, 10) }

// unkillableEvidence says what the kernel holds the processes in (E7).
func (h *Host) unkillableEvidence(name string, evidence map[string]string) {
	u := h.unit(name)
	if u == nil {
		return
	}
	l, _ := u.current()
	if l == nil {
		return
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
}
