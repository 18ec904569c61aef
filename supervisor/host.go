package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/limits/cgroup"
	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/logs"
	"github.com/sourcegraph/appliance/supervisor/probe"
	"github.com/sourcegraph/appliance/supervisor/process"
	"github.com/sourcegraph/appliance/supervisor/record"
	"github.com/sourcegraph/appliance/supervisor/stage0"
	"github.com/sourcegraph/appliance/supervisor/users"
)

// Host is the real [engine.World]: processes, cgroups, pipes, probes and records.
type Host struct {
	engine   *engine.Engine
	conn     *stage0.Conn
	tree     *cgroup.Tree
	spawner  *process.Spawner
	prober   probe.Prober
	records  *record.Dir
	pumps    *logs.Pumps
	logs     logs.Options
	log      *slog.Logger
	runDir   string
	bootID   string
	appl     string // our name: it tells our processes from those of another appliance of the same user
	users    *users.Book
	separate bool           // services have users of their own
	named    bool           // our own user has a name
	names    nssNames       // for users that have none
	marks    *process.Marks // nil: an empty cgroup proves death, or we are not root
	secrets  func() map[string]string
	storage  func() services.Storage // of the configuration in force
	events   func(api.Event)
	exits    *exits
	stored   map[string][]*os.File // what stage 0 held for us, by name
	door     *frontDoor
	planHash func() string

	unseen atomic.Bool // a listener's owner could not be told

	mu    sync.Mutex
	units map[string]*unit
}

// jitter is 0.8 to 1.2.
func jitter() float64 { return 0.8 + 0.4*rand.Float64() }

func (h *Host) unit(name string) *unit {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.units[name]
}

// besides are the instances that are not in a plan and not forgotten either, but for the door; by name.
func (h *Host) besides(plan []services.Instance) (list []services.Instance) {
	planned := append(names(plan), doorName)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(h.units)) {
		if !slices.Contains(planned, name) {
			list = append(list, h.units[name].instance())
		}
	}
	return list
}

// open makes the unit of an instance: its log pipe, which lives as long as the instance is in the plan, and the pump on it. run is the last
// one that an earlier supervisor began, 0 for none.
func (h *Host) open(inst services.Instance, run uint64) error {
	name := inst.Name()
	u := &unit{name: name, inst: inst, news: make(chan struct{})}
	r, w, err := h.logPipe(inst)
	if err != nil {
		return err
	}
	o := h.logs
	o.MaxSize, o.Keep = inst.Log.MaxSize, inst.Log.Keep
	u.pipe = w
	if u.pump, err = h.pumps.Start(name, r, run, o); err != nil {
		return fmt.Errorf("keep the log of %s: %w", name, err)
	}
	h.mu.Lock()
	h.units[name] = u
	h.mu.Unlock()
	return nil
}

// logPipe is the pipe that an earlier stage 1 left at stage 0, or a new one, left there before anything writes to it.
func (h *Host) logPipe(inst services.Instance) (r, w *os.File, err error) {
	name := "log/" + inst.Name()
	if files := h.stored[name]; len(files) == 1 {
		delete(h.stored, name)
		w, err = logs.Reopen(files[0])
		if err == nil {
			return files[0], w, nil
		}
		h.log.Warn("log pipe of an earlier supervisor is not usable", "service", inst.Name(), "err", err)
	}
	acc, err := h.account(inst)
	if err != nil {
		return nil, nil, err
	}
	if r, w, err = logs.NewPipe(acc.uid, acc.gid); err != nil {
		return nil, nil, fmt.Errorf("make the log pipe of %s: %w", inst.Name(), err)
	}
	h.tell(stage0.Message{Type: stage0.Store, Name: name, Files: []*os.File{r}})
	return r, w, nil
}

// close ends the unit of an instance that left the plan.
func (h *Host) close(name string) {
	h.mu.Lock()
	u := h.units[name]
	delete(h.units, name)
	h.mu.Unlock()
	if u == nil {
		return
	}
	u.pipe.Close()
	if err := u.pump.Close(); err != nil {
		h.log.Warn("close log", "service", name, "err", err)
	}
	h.tell(stage0.Message{Type: stage0.Drop, Name: "log/" + name})
	if err := h.records.Remove(name); err != nil {
		h.log.Warn("remove the run record", "service", name, "err", err)
	}
}

// tell passes a message to stage 0. When stage 0 is gone, its end of the socket says so to whoever reads it.
func (h *Host) tell(m stage0.Message) {
	if err := h.conn.Send(m); err != nil && !errors.Is(err, unix.EPIPE) {
		h.log.Error("tell stage 0", "message", m.Type, "name", m.Name, "err", err)
	}
}

// Now is the wall clock with its monotonic reading.
func (h *Host) Now() time.Time { return time.Now() }

// Arm fires a timer; see [engine.World].
func (h *Host) Arm(name string, run, timer uint64, d time.Duration) {
	time.AfterFunc(d, func() { h.engine.Post(name, engine.Event{Kind: engine.TimerFired, Run: run, Timer: timer}) })
}

// Publish keeps what an instance is now, in its run record and in the history; see [engine.World].
func (h *Host) Publish(v engine.View) {
	u := h.unit(v.Name)
	u.mu.Lock()
	u.view = v
	l := u.life
	u.mu.Unlock()
	u.tally.Observe(tallied(v))
	if v.Settled {
		h.keepRecord(u, l)
	}
	if v.Transition {
		ev := eventOf(v)
		if v.State == api.Unkillable {
			ev.Evidence = h.unkillableEvidence(v.Name) // as it is now: later it may wait for something else
		}
		h.events(ev)
	}
}

func eventOf(v engine.View) api.Event {
	ev := api.Event{
		At: api.Time{Time: v.Since}, Service: v.Name, Run: v.Run, Kind: "state", From: v.Previous, To: v.State,
		CausedBy: v.CausedBy, Message: v.Reason, Evidence: v.Evidence, Actor: v.Actor,
	}
	if v.LastExit != nil && (v.Event == engine.Exited || v.Event == engine.SpawnFailed || v.Event == engine.SpawnRefused) {
		ev.Cause = string(v.LastExit.Cause)
	}
	return ev
}

// watchLog looks out for the line that says ready, and for the one that announces an end that is no failure.
func (h *Host) watchLog(u *unit, l *life) {
	watch := func(pattern string, fn func(string)) {
		if pattern == "" {
			return
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			h.log.Error("log pattern", "service", u.name, "pattern", pattern, "err", err)
			return
		}
		cancel := u.pump.Watch(re, fn)
		context.AfterFunc(l.ctx, cancel)
	}
	if l.inst.Ready != nil {
		watch(l.inst.Ready.Log, func(string) { l.signalReady() })
	}
	watch(l.inst.Restart.Expected, func(string) { l.expected.Store(true) })
	watch(l.inst.Restart.Final.Log, func(line string) { l.final.Store(&line) })
}

func (h *Host) lastWords(u *unit) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = u.pump.Drain(ctx) // what is there by then is shown
	return strings.Join(u.pump.Tail(1), " / ")
}

func (h *Host) notifyPath(name string) string {
	return filepath.Join(h.runDir, "notify", strings.ReplaceAll(name, "/", "-"))
}

// exits holds the ends of processes that were not our children: their parent, stage 0, reports them.
type exits struct {
	mu     sync.Mutex
	known  map[string]process.Exit
	change chan struct{}
}

func newExits() *exits { return &exits{known: map[string]process.Exit{}, change: make(chan struct{})} }

func exitKey(name string, run uint64) string { return fmt.Sprintf("%s.%d", name, run) }

func (e *exits) put(name string, run uint64, exit process.Exit) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.known[exitKey(name, run)] = exit
	close(e.change)
	e.change = make(chan struct{})
}

// take waits for the report at most patience.
func (e *exits) take(name string, run uint64, patience time.Duration) (process.Exit, bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		e.mu.Lock()
		exit, ok := e.known[exitKey(name, run)]
		delete(e.known, exitKey(name, run))
		change := e.change
		e.mu.Unlock()
		if ok {
			return exit, true
		}
		select {
		case <-change:
		case <-timer.C:
			return process.Exit{}, false
		}
	}
}

// reportPatience is how long the report of an adopted process's end may take; it is sent at the same time as its pidfd fires.
const reportPatience = 3 * time.Second

func (h *Host) exitFromStage0(name string, run uint64) process.Exit {
	exit, ok := h.exits.take(name, run, reportPatience)
	if !ok {
		h.log.Warn("nobody knows how a process ended", "service", name, "run", run)
	}
	return exit
}

// runs are the present run numbers.
func (h *Host) runs(names []string) map[string]uint64 {
	out := map[string]uint64{}
	for _, name := range names {
		if v, ok := h.engine.View(name); ok {
			out[name] = v.Run
		}
	}
	return out
}
