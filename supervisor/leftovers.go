package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
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

// leftover is what an earlier appliance left and even SIGKILL does not end, as the record of its run.
type leftover struct {
	rec  record.Record
	pids []int
}

// leftoverPatience is how long the start waits for the death of what was left: what takes longer is shown as unkillable, and waited for by
// what would take its place alone.
const leftoverPatience = engine.KillWait

// clearLeftovers kills what an earlier supervisor left behind that no record explains: a new life of stage 0 adopts nothing. It returns what is
// not dead by then.
func (h *Host) clearLeftovers(known map[string]inherited) []leftover {
	if h.tree.Contains() {
		return h.clearGroups(known)
	}
	return h.clearMarked(known)
}

// clearGroups kills what is in cgroups.
func (h *Host) clearGroups(known map[string]inherited) (undead []leftover) {
	lives := h.unexplained(known)
	deadline := time.Now().Add(leftoverPatience)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		lives = slices.DeleteFunc(lives, func(l *life) bool {
			if !h.empty(l) {
				return false
			}
			if l.dying {
				h.events(api.Event{Kind: "appliance", Message: "killed what an earlier appliance left running in " + l.group.Name()})
			}
			h.forget(l)
			return true
		})
		if len(lives) == 0 || time.Now().After(deadline) {
			break
		}
		for _, l := range lives {
			l.dying = true
			h.killAll(l)
		}
		time.Sleep(pause)
	}
	for _, l := range lives {
		pids, _ := l.group.Pids() // an unreadable group is as undead as before
		undead = append(undead, leftover{h.recordOfUndead(l.inst, l.run, pids, l.group.Paths()), pids})
		l.group.Close()
	}
	return undead
}

// unexplained are the runs of our cgroups that no record explains.
func (h *Host) unexplained(known map[string]inherited) (lives []*life) {
	names, err := h.tree.Groups()
	if err != nil {
		h.log.Warn("look for leftover cgroups", "err", err)
	}
	kept := map[string]bool{}
	for _, in := range known {
		for _, dir := range in.rec.Cgroups {
			kept[filepath.Base(dir)] = true
		}
	}
	for _, name := range names {
		if kept[name] {
			continue
		}
		group, err := h.tree.Adopt(name)
		if err != nil {
			h.log.Warn("leftover cgroup", "name", name, "err", err)
			continue
		}
		inst, run := ofGroup(name)
		l := newLife(run, inst)
		l.group = group
		lives = append(lives, l)
	}
	return lives
}

// ofGroup is the opposite of groupName, as far as a name tells: whether there were other replicas it does not.
func ofGroup(name string) (inst services.Instance, run uint64) {
	rest, last := cutLast(name, ".")
	service, number := cutLast(rest, "-")
	run, _ = strconv.ParseUint(last, 10, 64) // the cgroup package lists no other names
	n, _ := strconv.Atoi(number)
	return stranded(service, n), run
}

func cutLast(text, sep string) (before, after string) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, ""
	}
	return text[:i], text[i+len(sep):]
}

// stranded is the instance of a run whose plan is not known.
func stranded(service string, number int) services.Instance {
	inst := services.Instance{Service: service, Number: number, Replicas: 1, Kind: services.KindService, User: "root"}
	if number > 0 {
		inst.Replicas = number + 1
	}
	return inst
}

// ofName is the instance of a name.
func ofName(name string) services.Instance {
	service, text, _ := strings.Cut(name, "/")
	number, _ := strconv.Atoi(text) // without a number it is the first
	inst := stranded(service, number)
	if text == "0" {
		inst.Replicas = 2
	}
	return inst
}

// recordOfUndead is a run that cannot be killed.
func (h *Host) recordOfUndead(inst services.Instance, run uint64, pids []int, cgroups []string) record.Record {
	r := record.Record{
		Name: inst.Name(), Service: inst.Service, Run: run, BootID: h.bootID, Cgroups: cgroups, State: string(api.Unkillable), Since: time.Now(),
		Reason: fmt.Sprintf("left running by an earlier appliance, and still there %s after SIGKILL", leftoverPatience),
	}
	for _, pid := range pids {
		if start, err := process.StartTime(pid); err == nil {
			r.PID, r.StartTime = pid, start
			break
		}
	}
	return r
}

// clearMarked kills what an earlier supervisor left where no cgroup holds it together: what the environment shows to be ours, and the
// processes of run records with all that descends from them, unless the record explains what runs.
func (h *Host) clearMarked(known map[string]inherited) (undead []leftover) {
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
			return nil
		}
		if time.Now().After(deadline) {
			return h.undeadOf(left)
		}
		for _, procs := range left {
			for _, p := range procs {
				if err := p.Signal(killSignal); err != nil && !errors.Is(err, os.ErrProcessDone) {
					h.log.Error("kill what an earlier appliance left", "pid", p.PID, "err", err)
				}
			}
		}
		time.Sleep(pause)
	}
}

// leftovers are the processes by the mark of their run.
func (h *Host) leftovers(recs []record.Record, explained map[string]bool) (map[string][]process.Proc, error) {
	table, err := process.Scan()
	if err != nil {
		h.log.Error("look for leftover processes", "err", err)
		return nil, err
	}
	found := map[string][]process.Proc{}
	add := func(mark string, procs ...process.Proc) {
		for _, p := range procs {
			if !p.Zombie() && p.PID != os.Getpid() {
				found[mark] = append(found[mark], p)
			}
		}
	}
	for _, p := range table.All() {
		for _, r := range recs {
			if p.PID == r.PID && p.StartTime == r.StartTime {
				add(h.markOf(r.Name, r.Run), append([]process.Proc{p}, table.Descendants(p.PID)...)...)
			}
		}
	}
	marks := map[string]bool{}
	table.EnvMarkedAs(func(mark string) bool {
		marks[mark] = strings.HasPrefix(mark, h.appl+"/") && !explained[mark]
		return false
	})
	for mark, ours := range marks {
		if ours {
			add(mark, table.EnvMarked(mark)...)
		}
	}
	return found, nil
}

func (h *Host) undeadOf(left map[string][]process.Proc) (undead []leftover) {
	for mark, procs := range left {
		name, run := cutLast(strings.TrimPrefix(mark, h.appl+"/"), ".")
		number, _ := strconv.ParseUint(run, 10, 64) // made by markOf
		var pids []int
		for _, p := range procs {
			pids = append(pids, p.PID)
		}
		undead = append(undead, leftover{h.recordOfUndead(ofName(name), number, pids, nil), pids})
	}
	return undead
}

// bury gives what cannot be killed to the instance whose place it holds, which starts once it is gone. What has no instance any more gets one
// for as long as it is there, so that it is seen.
func (s *Supervisor) bury(undead []leftover, before map[string]inherited) (more []services.Instance) {
	for _, one := range undead {
		inst := ofName(one.rec.Name)
		i := slices.IndexFunc(s.plan().Instances, func(p services.Instance) bool { return p.Service == inst.Service && p.Number == inst.Number })
		if i >= 0 {
			inst = s.plan().Instances[i]
		}
		s.log.Error("an earlier appliance left what cannot be killed", "service", inst.Name(), "pid", one.rec.PID, "run", one.rec.Run, "remedy", unkillableRemedy)
		if _, taken := before[inst.Name()]; taken || inst.Service == doorName {
			continue // a later run of it goes on, as it did before; nothing of an old door is in the way of the new one
		}
		in := inherited{viewOf(one.rec), one.rec}
		in.view.Name, in.view.Wanted = inst.Name(), inst.Wanted
		before[inst.Name()] = in
		if i < 0 {
			more = append(more, inst)
		}
	}
	return more
}

// unkillableRemedy is what a person can do about a process that SIGKILL does not end.
const unkillableRemedy = "it ends when the device or file system that it waits for answers or is taken away; else restart the machine"

// stuckIn says which processes of an unkillable instance there are, and where in the kernel each waits.
func (h *Host) stuckIn(name string) string {
	var list []string
	for _, pid := range h.pids(name) {
		if st, err := process.StatOf(pid); err == nil {
			st.Stack = "" // `why` has it
			list = append(list, st.String())
		}
	}
	return strings.Join(list, ", ")
}

// unkillableEvidence says what the kernel holds the processes in (E7).
func (h *Host) unkillableEvidence(name string) map[string]string {
	evidence := map[string]string{}
	for _, pid := range h.pids(name) {
		if st, err := process.StatOf(pid); err == nil {
			evidence["pid "+strconv.Itoa(pid)] = st.String()
		}
	}
	return evidence
}

// pids are the processes of an instance that we know of.
func (h *Host) pids(name string) (pids []int) {
	u := h.unit(name)
	if u == nil {
		return nil
	}
	l, _ := u.current()
	switch {
	case l == nil:
	case l.group != nil:
		pids, _ = l.group.Pids() // an unreadable group is evidence of its own: none
	case l.process() != nil:
		pids = []int{l.process().PID()}
	}
	return pids
}
