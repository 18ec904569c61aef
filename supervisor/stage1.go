package supervisor

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/oklog/run"

	"github.com/sourcegraph/appliance/limits/cgroup"
	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/door"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/logs"
	"github.com/sourcegraph/appliance/supervisor/metrics"
	"github.com/sourcegraph/appliance/supervisor/process"
	"github.com/sourcegraph/appliance/supervisor/record"
	"github.com/sourcegraph/appliance/supervisor/roster"
	"github.com/sourcegraph/appliance/supervisor/stage0"
	"github.com/sourcegraph/appliance/supervisor/store"
	"github.com/sourcegraph/appliance/supervisor/users"
)

// Options are what `run` was told, handed over to stage 1 on its command line.
type Options struct {
	Version     string // of the appliance
	Roster      roster.Options
	Flags       Flags
	LogJSON     bool
	StopTimeout time.Duration
	Log         io.Writer `json:"-"` // the appliance's own events, for people

	Image         bool   // in the image: the network is the container's own
	DefaultListen string // front door's address when neither flag nor file says one; empty: 127.0.0.1:7080
}

// Supervisor is stage 1.
type Supervisor struct {
	opts    Options
	log     *slog.Logger
	conn    *stage0.Conn
	hello   stage0.Message
	host    *Host
	engine  *engine.Engine
	store   *store.Store
	grade   api.Grade
	since   time.Time
	scrape  http.Handler // /metrics
	metrics *metricsPort

	certificate *certificate // of the site, read from its files
	reach       *reach       // whether url leads here
	warned      warnings     // of the front door
	stopping    atomic.Bool
	code        atomic.Int64 // exit code to report, once stopped

	stopBegun chan struct{} // closed together with stopping

	mu     sync.Mutex
	roster *roster.Roster
	open   opened             // what the site says of the front door, read
	setup  string             // token for the first administrator; empty once there is one
	stop   chan time.Duration // one order to stop, with its budget
	opLock sync.Mutex         // one reload or shutdown at a time

	productAsked bool // whether there is an administrator; the heartbeat's alone

	onDisk  onDisk     // what the files of the configuration say now
	showing sync.Mutex // the door's state is found and shown
	shown   door.State
	shownAt time.Time
}

func (s *Supervisor) plan() services.Plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roster.Plan
}

// instances are those of the plan, and behind them those that have left it and are not dead yet.
func (s *Supervisor) instances() []services.Instance {
	plan := s.plan().Instances
	left := slices.DeleteFunc(s.host.besides(plan), func(inst services.Instance) bool {
		v, _ := s.engine.View(inst.Name())
		return !v.Alive
	})
	return slices.Concat(plan, left)
}

func (s *Supervisor) rosterNow() *roster.Roster {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roster
}

// gcPercent is less than Go's 100: little of what stage 1 does makes garbage, and what it keeps is small.
const gcPercent = 25

// Supervise is stage 1's main: it runs until it is told to stop, and returns the exit code. Stage 0 must have started it.
func Supervise(o Options) int {
	o.Roster.Ports = roster.NewPorts()
	debug.SetGCPercent(gcPercent)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a reader of ours that is gone is no reason to die
	out := newPatientWriter(o.Log)
	defer out.finish(time.Second)
	s := &Supervisor{opts: o, log: slog.New(newConsole(out, o.LogJSON)), stop: make(chan time.Duration, 1), stopBegun: make(chan struct{}), since: time.Now()}
	s.certificate, s.reach = newCertificate(s.log), newReach()
	if err := s.supervise(); err != nil {
		s.log.Error("supervisor", "err", err)
		return 1
	}
	return int(s.code.Load())
}

func (s *Supervisor) supervise() error {
	s.store = store.New(filepath.Join(s.opts.Roster.DataDir, "state", "store"), store.Options{
		Report: func(err error) { s.log.Warn("history", "err", err) },
	})
	conn, err := stage0.Inherit()
	if err != nil {
		return err
	}
	s.conn = conn
	inv, err := takeInventory(conn)
	if err != nil {
		return err
	}
	s.hello = inv.hello
	if err := s.load(inv.stored); err != nil {
		return s.refuse(err)
	}
	if err := s.openHost(inv); err != nil {
		return s.refuse(err)
	}
	defer s.host.spawner.Close()
	why, err := s.admitExposed(s.roster, s.hello.Run > 1)
	if err != nil {
		return s.refuse(err)
	}
	if why != "" {
		s.grade.Why = append(s.grade.Why, why)
	}
	if err := s.begin(inv); err != nil {
		return s.refuse(err)
	}
	return s.attend()
}

// load finds what is to run. A later life of a supervisor goes on with the plan that was accepted last: an edit that nobody has asked to be
// read must not change what runs, nor let a service that left the configuration run on without a supervisor.
func (s *Supervisor) load(stored map[string][]*os.File) error {
	var r *roster.Roster
	var err error
	if s.hello.Run > 1 {
		if r, err = s.accepted(stored); err != nil {
			s.log.Error("reading the configuration anew", "err", err)
		}
	}
	if r == nil {
		if r, err = roster.Load(s.opts.Roster); err != nil {
			return err
		}
	}
	s.roster = r
	if s.open, err = s.openFront(r); err != nil {
		if s.hello.Run <= 1 || len(s.open.Listeners) == 0 {
			return err
		}
		s.log.Error("front door", "err", err) // a file that went away is no reason to end what runs
	}
	s.certificate.use(s.site().TLS)
	if s.setup, err = openSetup(s.opts.Roster.DataDir); err != nil {
		return err
	}
	for _, w := range r.Warnings {
		s.log.Warn(w)
	}
	if r.Announced != "" {
		s.log.Info(r.Announced)
	}
	s.keepHistory(r, "start")
	return s.keepAccepted(r)
}

// refuse ends the appliance with the code of a fault that another try cannot mend.
func (s *Supervisor) refuse(err error) error {
	var coded interface{ ExitCode() int }
	if !errors.As(err, &coded) || s.hello.Run > 1 {
		return err
	}
	s.log.Error(err.Error(), hintOf(err)...)
	if sent := s.conn.Send(stage0.Message{Type: stage0.Refuse, Code: coded.ExitCode(), Text: err.Error()}); sent != nil {
		return errors.Join(err, sent)
	}
	s.code.Store(int64(coded.ExitCode()))
	return nil
}

func hintOf(err error) []any {
	var hint interface{ Hint() string }
	if errors.As(err, &hint) && hint.Hint() != "" {
		return []any{"remedy", hint.Hint()}
	}
	return nil
}

func (s *Supervisor) openHost(inv inventory) error {
	o := s.opts.Roster
	name, err := cgroup.NameFor("sourcegraph", o.DataDir)
	if err != nil {
		return err
	}
	tree, why, err := cgroup.Open(cgroup.Options{Name: name, Family: []int{inv.hello.PID}})
	if err != nil {
		return err
	}
	if err := tree.EnterSupervisor(); err != nil {
		why = append(why, err.Error())
	}
	mode, err := users.Detect()
	if err != nil {
		return err
	}
	book, err := users.Open(filepath.Join(o.DataDir, "state", "users"), name, mode)
	if err != nil {
		return err
	}
	spawner, err := process.NewSpawner()
	if err != nil {
		return err
	}
	records, err := record.Open(filepath.Join(o.RunDir, "instances"))
	if err != nil {
		return err
	}
	pumps, err := logs.NewPumps()
	if err != nil {
		return err
	}
	bootID, err := record.BootID()
	if err != nil {
		return err
	}
	var marks *process.Marks
	if mode == users.Root && !tree.Contains() {
		if marks, err = process.NewMarks(name, nil); err != nil {
			return err
		}
	}
	s.grade = grade(tree, mode, why)
	h := &Host{
		conn: s.conn, tree: tree, spawner: spawner, records: records, pumps: pumps, log: s.log, runDir: o.RunDir, bootID: bootID, appl: name, users: book, marks: marks, separate: mode == users.Root, named: weAreNamed(), names: newNames(o.RunDir),
		secrets: s.secrets, storage: func() services.Storage { return s.rosterNow().Site.Storage }, events: s.event, exits: newExits(), stored: inv.stored, units: map[string]*unit{},
		planHash: func() string { return s.plan().Hash },
		logs: logs.Options{
			Dir: cmp.Or(s.site().Storage.Logs, filepath.Join(o.DataDir, "logs")), Redactor: logs.NewRedactor(s.secretValues()...),
		},
	}
	if on := s.site().Log.Stdout; on != nil && *on {
		h.logs.Stdout = logs.NewStdout(os.Stdout, s.opts.LogJSON)
	}
	h.door = &frontDoor{tell: h.tell, log: s.log, view: func() (engine.View, bool) { return s.engine.View(doorName) }}
	for _, e := range inv.exits {
		h.exits.put(e.Name, e.Run, process.ExitOf(int(e.Status)))
	}
	s.engine = engine.New(h, jitter, func(name string, err error) { s.log.Debug("refused", "service", name, "err", err) })
	h.engine = s.engine
	s.host = h
	s.scrape = metrics.Handler(&figures{s: s})
	s.metrics = newMetricsPort(s.scrape, s.log)
	return nil
}

func grade(tree *cgroup.Tree, mode users.Mode, why []string) api.Grade {
	g := api.Grade{Limits: string(tree.Grade()), Isolation: "full", Why: emptyNotNil(why)}
	if mode != users.Root {
		g.Isolation = "partial"
		g.Why = append(g.Why, "all services share one user: they can read each other's environment, and reach the admin socket")
	}
	return g
}

// begin starts or resumes every instance, the door first.
func (s *Supervisor) begin(inv inventory) error {
	if err := s.host.door.listen(s.front().Listeners, inv.stored); err != nil {
		return err
	}
	if err := s.metrics.move(s.metricsAddress()); err != nil {
		if inv.hello.Run == 1 {
			return err
		}
		s.log.Warn("metrics", append([]any{"err", err}, hintOf(err)...)...) // no reason to end what runs; it is tried again
	}
	before := map[string]inherited{}
	if inv.hello.Run > 1 {
		before = s.host.inheritance()
	}
	forsaken, undead := s.forsake(before)
	undead = append(undead, s.host.clearLeftovers(before)...)
	s.host.discard(slices.DeleteFunc(forsaken, func(name string) bool {
		return slices.ContainsFunc(undead, func(l leftover) bool { return l.rec.Name == name })
	}))
	if inv.hello.Run == 1 { // later, our own services hold them
		if err := checkDescriptors(len(s.plan().Instances)); err != nil {
			return err
		}
		ours := func(pid int) bool {
			return slices.ContainsFunc(undead, func(l leftover) bool { return slices.Contains(l.pids, pid) })
		}
		if err := s.rosterNow().CheckPorts(s.opts.Roster.Ports, ours); err != nil {
			return err
		}
	} else {
		for _, warning := range s.rosterNow().HoldPorts(s.opts.Roster.Ports) {
			s.log.Warn(warning)
		}
	}
	if files := inv.stored["door-control"]; len(files) == 1 {
		s.host.door.adopt(files[0])
	}
	insts := append([]services.Instance{s.doorInstance()}, s.plan().Instances...)
	insts = append(insts, s.bury(undead, before)...)
	return s.add(insts, before)
}

func (s *Supervisor) doorInstance() services.Instance {
	return s.host.door.instance(s.opts.Roster.Executable, services.DefaultUser(doorName), s.opts.Roster.RunDir, s.acmeDir())
}

// add opens the instances and gives them to the engine, those that an earlier supervisor left where it left them.
func (s *Supervisor) add(insts []services.Instance, before map[string]inherited) error {
	if err := s.host.reserve(append([]services.Instance{s.doorInstance()}, s.plan().Instances...)); err != nil {
		return err
	}
	views := map[string]engine.View{}
	var after []func()
	for _, inst := range insts {
		in, ok := before[inst.Name()]
		if err := s.host.open(inst, in.rec.Run); err != nil {
			return err
		}
		if ok {
			if inst.Kind == services.KindExternal || in.rec.Name == "" { // there is no process to take over
				views[inst.Name()] = in.view.Elsewhere()
				continue
			}
			after = append(after, s.host.resume(s.host.unit(inst.Name()), in))
			views[inst.Name()] = in.view
		}
	}
	if err := s.engine.Add(insts, views); err != nil {
		return err
	}
	for _, tell := range after {
		tell()
	}
	s.store.Open() // after the first spawns: no service's start needs it
	return nil
}

// attend is what stage 1 does while it lives: one actor for each thing that it must never stop doing.
func (s *Supervisor) attend() error {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	var g run.Group
	actor := func(f func(context.Context) error) {
		ctx, cancel := context.WithCancel(ctx)
		g.Add(func() error { return f(ctx) }, func(error) { cancel() })
	}
	actor(s.listenStage0)
	actor(s.beat)
	actor(s.present)
	actor(s.serveAdmin)
	actor(s.metrics.run)
	actor(s.watchCertificate)
	actor(s.watchReach)
	actor(s.watchConfig)
	actor(s.untilStopped)
	err := g.Run()
	s.engine.Close()
	if errors.Is(err, errStopped) {
		return nil
	}
	return err
}

var errStopped = errors.New("stopped as asked")

// untilStopped waits for an order to stop and carries it out.
func (s *Supervisor) untilStopped(ctx context.Context) error {
	if s.hello.Stop {
		s.orderStop(s.hello.Deadline.Left())
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case budget := <-s.stop:
		return s.end(budget)
	}
}

// end is the ordered stop: services in reverse order, then the door, then the word to stage 0.
func (s *Supervisor) end(budget time.Duration) error {
	s.beginStop()
	s.log.Info("stopping", "within", budget.Round(time.Millisecond))
	s.event(api.Event{Kind: "appliance", Message: "stopping"})
	killed := s.stopAll("shutdown", budget)
	killed = append(killed, s.stopDoor()...)
	if len(killed) > 0 {
		s.log.Warn("had to be killed", "services", killed)
		s.code.CompareAndSwap(0, 3)
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	if err := s.store.Close(ctx); err != nil {
		s.log.Warn("close the history", "err", err)
	}
	if err := s.host.pumps.Close(); err != nil {
		s.log.Warn("close the logs", "err", err)
	}
	if err := s.host.tree.Destroy(); err != nil {
		s.log.Debug("remove our cgroups", "err", err)
	}
	if err := s.conn.Send(stage0.Message{Type: stage0.Done, Code: int(s.code.Load())}); err != nil && !errors.Is(err, io.EOF) {
		s.log.Debug("tell stage 0 that all is done", "err", err)
	}
	return errStopped
}

// closeWait is how long a disk may take for the last events.
const closeWait = 2 * time.Second

// stopDoor ends the door last: until then it says that the appliance is stopping.
func (s *Supervisor) stopDoor() (killed []string) {
	s.engine.Post(doorName, engine.Event{Kind: engine.StopWanted, Actor: "shutdown", Grace: doorGrace})
	ctx, cancel := context.WithTimeout(context.Background(), 2*doorGrace)
	defer cancel()
	if err := s.engine.Await(ctx, []string{doorName}, func(v engine.View) bool { return v.State == api.Stopped }); err != nil {
		killed = append(killed, doorName)
	}
	return killed
}

// doorGrace is how long the door may take to finish answers at the end.
const doorGrace = 2 * time.Second

// orderStop asks for an ordered stop; a second order does not shorten the first.
func (s *Supervisor) orderStop(budget time.Duration) {
	select {
	case s.stop <- max(budget, time.Second):
	default:
	}
}
