package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sourcegraph/appliance/limits/cgroup"
	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/logs"
	"github.com/sourcegraph/appliance/supervisor/process"
	"github.com/sourcegraph/appliance/supervisor/stage0"
)

var errUnwanted = errors.New("stopped before it had started")

// Spawn starts a run; see [engine.World].
func (h *Host) Spawn(name string, run uint64) {
	u := h.unit(name)
	l := newLife(run, u.instance())
	u.mu.Lock()
	u.life = l
	u.mu.Unlock()
	u.pump.Begin(run)
	go h.start(u, l)
}

func (h *Host) start(u *unit, l *life) {
	p, err := h.bringUp(u, l)
	if err != nil {
		ev := spawnFailed(l, err)
		h.prove(l, false) // what a preparation left running
		l.cancel()
		h.forget(l)
		close(l.up)
		h.engine.Post(u.name, ev)
		close(l.ended)
		return
	}
	close(l.up)
	pid := 0
	if p != nil {
		pid = p.PID()
	}
	h.engine.Post(u.name, engine.Event{Kind: engine.Spawned, Run: l.run, PID: pid})
	if p != nil {
		h.awaitExit(u, l, p)
	} else { // there is nothing to end: it is over once it is not wanted
		<-l.ctx.Done()
		h.engine.Post(u.name, engine.Event{Kind: engine.Exited, Run: l.run, Exit: api.Exit{Cause: api.CauseStopped}})
	}
	close(l.ended)
}

// spawnFailed classifies why nothing runs: what a retry cannot mend is permanent (E23), a shortage is not (E25).
func spawnFailed(l *life, err error) engine.Event {
	ev := engine.Event{Kind: engine.SpawnFailed, Run: l.run, Cause: api.CauseExec, Err: err, Permanent: true}
	var exec *process.ExecError
	var conf *configError
	switch {
	case errors.Is(err, errUnwanted) || l.ctx.Err() != nil:
		ev.Cause, ev.Permanent = api.CauseStopped, false
	case errors.As(err, &exec):
		ev.Permanent = exec.Permanent()
	case errors.As(err, &conf):
		ev.Cause, ev.Permanent = api.CauseConfig, conf.permanent
	default:
		ev.Permanent = false
	}
	var hint interface{ Hint() string }
	if errors.As(err, &hint) && hint.Hint() != "" {
		ev.Evidence = map[string]string{"remedy": hint.Hint()}
	}
	return ev
}

// configError is a start that failed before any fork: a directory, a file, a preparation.
type configError struct {
	err       error
	permanent bool
}

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

// bringUp makes everything that a run needs, in the order that leaves no process without a record, a name and a group.
func (h *Host) bringUp(u *unit, l *life) (*process.Process, error) {
	if l.inst.Kind == services.KindExternal {
		return nil, nil
	}
	inst, err := services.Expand(l.inst, h.secrets())
	if err != nil {
		return nil, &configError{err, true}
	}
	acc, err := h.account(inst)
	if err != nil {
		return nil, &configError{err, true}
	}
	if err := h.enclose(u, l, inst); err != nil {
		return nil, err
	}
	if err := h.prepare(u, l, &inst, acc); err != nil {
		return nil, err
	}
	h.watchLog(u, l)
	if inst.Ready != nil && inst.Ready.Notify {
		if err := h.listenNotify(u, l, acc.uid); err != nil {
			return nil, &configError{err, false}
		}
	}
	spec := h.spec(u, l, inst, acc)
	if l.isUnwanted() {
		return nil, errUnwanted
	}
	p, err := h.spawner.Start(spec) // without the lock: an exec from a disk that hangs must not hold up the machine
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.proc = p
	l.mu.Unlock()
	h.tell(stage0.Message{Type: stage0.Know, Name: u.name, Run: l.run, PID: p.PID(), StartTime: p.StartTime(), Cgroup: l.cgroups()})
	if l.isUnwanted() { // told to stop while it was born
		h.Signal(u.name, l.run)
	}
	return p, nil
}

// enclose gives the run its cgroup and its mark, and records both before anything is born in them.
func (h *Host) enclose(u *unit, l *life, inst services.Instance) error {
	if err := h.bound(u, l, inst); err != nil {
		return err
	}
	h.keepRecord(u, l)
	return nil
}

func (h *Host) bound(u *unit, l *life, inst services.Instance) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.marks != nil {
		mark, err := h.marks.Next()
		if err != nil {
			return err
		}
		l.mark = mark
	}
	if h.tree.Contains() {
		group, err := h.tree.Create(groupName(inst, l.run), cgroup.Budget{
			Memory: inst.Budget.Memory, MemoryLow: inst.Budget.MemoryLow, CPUs: inst.Budget.CPUs,
			CPUWeight: inst.Budget.CPUWeight, Pids: inst.Budget.Pids,
		})
		if err != nil {
			return fmt.Errorf("make the cgroup of %s: %w", u.name, err)
		}
		l.group = group
		if inst.Loopback {
			h.keepOnLoopback(u, group)
		}
		l.ooms, _ = group.OOMKills() // not told: then no kill is taken for one
		h.tell(stage0.Message{Type: stage0.Know, Name: u.name, Run: l.run, Cgroup: l.cgroups()})
	}
	return nil
}

// groupName is <service>-<n>.<run>.
func groupName(inst services.Instance, run uint64) string {
	return inst.Service + "-" + strconv.Itoa(inst.Number) + "." + strconv.FormatUint(run, 10)
}

// cgroups is the group's directories as stage 0 and the run record hold them.
func (l *life) cgroups() string {
	if l.group == nil {
		return ""
	}
	return strings.Join(l.group.Paths(), "\x00")
}

func (h *Host) spec(u *unit, l *life, inst services.Instance, acc account) process.Spec {
	s := process.Spec{
		Program: inst.Program, Argv: inst.Argv, Env: append(inst.Env, process.EnvVariable+"="+h.runName(l)), Dir: inst.Dir,
		UID: acc.uid, GID: acc.gid, Caps: inst.Caps, NoFile: uint64(max(0, inst.Budget.NoFile)),
		Output: u.pipe, CgroupFD: -1, Files: h.files(u),
	}
	if l.mark != 0 {
		s.Groups = append(append([]int{}, s.Groups...), l.mark)
	}
	if probe := inst.Ready; probe != nil && probe.Notify {
		s.Env = append(s.Env, "NOTIFY_SOCKET="+h.notifyPath(u.name))
	}
	if l.group != nil {
		if fd, ok := l.group.SpawnFD(); ok {
			s.CgroupFD = fd
		}
		s.TaskFiles, s.HomeFiles = l.group.TaskFiles()
	}
	return s
}

// files are the descriptors that a process gets beside its output: the door's control socket.
func (h *Host) files(u *unit) []*os.File {
	if u.name == doorName {
		return h.door.files()
	}
	return nil
}

// awaitExit waits for the end of the main process, keeps how it ended, then reaps it.
func (h *Host) awaitExit(u *unit, l *life, p *process.Process) {
	exit, err := p.Wait()
	if err != nil {
		h.log.Error("wait", "service", u.name, "pid", p.PID(), "err", err)
	}
	if !exit.Known {
		exit = h.exitFromStage0(u.name, l.run)
	}
	h.hearOut(u, l)
	ev := engine.Event{Kind: engine.Exited, Run: l.run, Expected: l.expected.Load() || !exit.Known, Exit: h.exitOf(l, exit)} // how nobody knows is not held against it
	h.countOOMs(u, l)
	if ev.Exit.Cause == api.CauseOOM {
		ev.Evidence = h.oomEvidence(l)
	}
	if line := l.final.Load(); line != nil && exit.Code != 0 {
		ev.Final = *line
	}
	if err := p.Reap(); err != nil {
		h.log.Error("reap", "service", u.name, "pid", p.PID(), "err", err)
	}
	h.tell(stage0.Message{Type: stage0.Ack, Name: u.name, Run: l.run})
	h.engine.Post(u.name, ev)
}

// hearWait is how long an end whose last lines decide what follows waits for them; a disk that takes them does so in well under 1 ms.
const hearWait = time.Second

// hearOut takes in all that a run has said, where a line of its log tells what its end means: the end is seen before the line is read, and what
// was said to an earlier supervisor is in the log alone.
func (h *Host) hearOut(u *unit, l *life) {
	rule := l.inst.Restart
	if rule.Expected == "" && rule.Final.Log == "" {
		return
	}
	h.drain(u, hearWait)
	if !l.before {
		return
	}
	if _, ok := h.logged(l, rule.Expected); ok {
		l.expected.Store(true)
	}
	if line, ok := h.logged(l, rule.Final.Log); ok {
		l.final.Store(&line)
	}
}

// logged looks for a line that matches among those that a run has written.
func (h *Host) logged(l *life, pattern string) (found string, ok bool) {
	if pattern == "" {
		return "", false
	}
	ctx, cancel := context.WithTimeout(context.Background(), hearWait)
	defer cancel()
	name := l.inst.Name()
	for line, err := range logs.Query(ctx, h.logs.Dir, api.LogQuery{Services: []string{name}, Grep: pattern}) {
		if err != nil {
			h.log.Warn("look through the log of a run that an earlier supervisor began", "service", name, "err", err)
			break
		}
		if line.Service == name && line.Run == l.run {
			found, ok = line.Text, true
		}
	}
	return found, ok
}

func (h *Host) exitOf(l *life, exit process.Exit) api.Exit {
	e := api.Exit{Cause: api.CauseExit, Code: exit.Code, Signal: exit.SignalName()}
	if exit.Signal != 0 {
		e.Cause = api.CauseSignal
	}
	if l.group != nil {
		if n, err := l.group.OOMKills(); err == nil && n > l.ooms {
			e.Cause = api.CauseOOM // also when only a helper was killed (E41)
		}
	}
	return e
}

func (h *Host) oomEvidence(l *life) map[string]string {
	usage, err := l.group.Usage()
	if err != nil {
		return nil
	}
	return map[string]string{
		"memory.peak": strconv.FormatInt(usage.MemoryPeak, 10), "memory.max": strconv.FormatInt(l.inst.Budget.Memory, 10),
		"remedy": "raise services." + l.inst.Service + ".budget.memory",
	}
}

// Signal sends the stop signal; see [engine.World].
func (h *Host) Signal(name string, run uint64) {
	u := h.unit(name)
	l := u.lifeOf(run)
	if l == nil {
		return
	}
	inst, _ := u.definition(l)
	stop := inst.Stop
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.proc == nil {
		l.unwanted = true
		l.cancel()
		return
	}
	send := l.proc.Signal
	if stop.To == services.ToGroup {
		send = l.proc.SignalGroup
	}
	l.told = true
	if err := send(stop.Signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		h.log.Error("signal", "service", name, "signal", stop.Signal, "err", err)
	}
	_ = l.proc.Signal(contSignal) // a stopped process could not act on it (E6); one that is gone needs none
}
