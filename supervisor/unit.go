package supervisor

import (
	"context"
	"os"
	"sync"
	"sync/atomic"

	"github.com/sourcegraph/appliance/limits/cgroup"
	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/logs"
	"github.com/sourcegraph/appliance/supervisor/metrics"
	"github.com/sourcegraph/appliance/supervisor/process"
)

// unit is what the host keeps of one instance across its runs.
type unit struct {
	name  string
	pump  *logs.Pump
	pipe  *os.File // write end; the read end is the pump's and stage 0's
	tally metrics.Tally

	keeping sync.Mutex // the run record is made and written

	mu   sync.Mutex
	inst services.Instance
	news chan struct{} // closed when inst is replaced
	life *life         // the latest run, nil before the first
	view engine.View   // last published
}

func (u *unit) instance() services.Instance {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.inst
}

// replan gives the unit its new definition: for the next run, and for what the present one is asked and told if it runs the same program.
func (u *unit) replan(inst services.Instance) {
	u.pump.Bound(inst.Log.MaxSize, inst.Log.Keep)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.inst = inst
	close(u.news)
	u.news = make(chan struct{})
}

// definition is how a run is probed and stopped: as it was started, or as the plan says now of the same program. The channel closes
// when that may have changed.
func (u *unit) definition(l *life) (services.Instance, <-chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.inst.Hash == l.inst.Hash {
		return u.inst, u.news
	}
	return l.inst, u.news
}

func (u *unit) lifeOf(run uint64) *life {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.life != nil && u.life.run == run {
		return u.life
	}
	return nil
}

func (u *unit) current() (*life, engine.View) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.life, u.view
}

// life is one run of an instance: from before its fork until nothing of it is left.
type life struct {
	run    uint64
	ctx    context.Context // ends when the run is dead or is no longer wanted before it began
	cancel context.CancelFunc
	inst   services.Instance // what it runs with
	up     chan struct{}     // closed once the start is over, well or not
	ended  chan struct{}     // closed once the end of the main process is known and told
	ready  chan struct{}     // closed by a log line or a notification
	before bool              // begun by an earlier supervisor, which heard what it said first
	once   sync.Once

	mu          sync.Mutex
	group       *cgroup.Group
	mark        int // supplementary gid of this run's processes; 0: none
	proc        *process.Process
	unwanted    bool // told to stop before it had a process
	told        bool // told to stop by its signal
	probing     bool
	dying       bool                   // no probe begins any more
	asking      sync.WaitGroup         // the goroutine that probes it
	forked      atomic.Bool            // a probe has put a process into its cgroup
	forgotten   atomic.Bool            // dead, and what it held is freed
	expected    atomic.Bool            // said in its log that it wants to be restarted
	final       atomic.Pointer[string] // the line in which it said that no restart mends it
	ooms        uint64                 // OOM kills of its group when it began
	oomsCounted uint64                 // of those since, in the tally
}

func newLife(run uint64, inst services.Instance) *life {
	ctx, cancel := context.WithCancel(context.Background())
	return &life{run: run, ctx: ctx, cancel: cancel, inst: inst, up: make(chan struct{}), ended: make(chan struct{}), ready: make(chan struct{})}
}

func (l *life) wasTold() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told
}

// groupPaths are the directories of its cgroup, none without one.
func (l *life) groupPaths() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.group == nil {
		return nil
	}
	return l.group.Paths()
}

func (l *life) isUnwanted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unwanted
}

func (l *life) signalReady() { l.once.Do(func() { close(l.ready) }) }

func (l *life) process() *process.Process {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proc
}
