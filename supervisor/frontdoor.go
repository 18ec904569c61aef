package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/door"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/stage0"
)

// doorName is the front door's instance: supervised and adopted like a service, but none of the plan's.
const doorName = "door"

// frontendName is the service that the front door stands before.
const frontendName = "frontend"

// frontDoor is stage 1's hold on the door: its control socket, its listeners and what it was last told.
type frontDoor struct {
	tell func(stage0.Message)
	log  *slog.Logger
	view func() (engine.View, bool)

	mu        sync.Mutex
	control   *door.Control
	doorEnd   *os.File // handed to the next process
	listeners []door.Listener
	state     *door.State
	answered  bool // the frontend has been ready since the appliance started
}

// instance is the door's definition. Its user needs no right at all: certificates of the site are read by us, those that it gets itself are its own.
func (d *frontDoor) instance(self, user, dir, acme string) services.Instance {
	return services.Instance{
		Service: doorName, Replicas: 1, Kind: services.KindService, Wanted: true, Program: self, Source: "appliance",
		Argv: []string{"sourcegraph", "door"}, Env: []string{"GOGC=50", "GOMEMLIMIT=64MiB", "LANG=C.UTF-8", "TZ=UTC"},
		Dir: dir, Data: []services.Data{{Name: "acme", Path: acme, Class: services.DataState}}, User: user, Budget: services.Budget{NoFile: 16384, CPUWeight: 400},
		Stop:    services.Stop{Signal: syscall.SIGTERM, To: services.ToMain, Grace: 12 * time.Second},
		Restart: services.Restart{Max: time.Second},
		Log:     services.Log{MaxSize: 4 << 20, Keep: 2, Format: "plain"},
		Hash:    "door",
	}
}

// files is what the next door process gets as descriptor 3: its end of a new control socket, whose other end stage 0 keeps, too.
func (d *frontDoor) files() []*os.File {
	d.mu.Lock()
	defer d.mu.Unlock()
	ours, theirs, err := door.NewPair()
	if err != nil {
		d.log.Error("front door", "err", err)
		return nil
	}
	defer ours.Close()
	if d.doorEnd != nil {
		d.doorEnd.Close()
	}
	d.doorEnd = theirs
	d.tell(stage0.Message{Type: stage0.Store, Name: "door-control", Files: []*os.File{ours}})
	d.connectLocked(ours)
	return []*os.File{theirs}
}

// connectLocked talks to a door through our end of its socket, and tells it everything.
func (d *frontDoor) connectLocked(ours *os.File) {
	control, err := door.NewControl(ours)
	if err != nil {
		d.log.Error("front door", "err", err)
		return
	}
	if d.control != nil {
		d.control.Close()
	}
	d.control = control
	d.refreshLocked()
}

func (d *frontDoor) refreshLocked() {
	if d.control == nil {
		return
	}
	if err := d.control.SetListeners(d.listeners); err != nil && !errors.Is(err, door.ErrGone) {
		d.log.Error("front door listeners", "err", err)
	}
	if d.state != nil {
		d.pushLocked()
	}
}

func (d *frontDoor) pushLocked() {
	if err := d.control.Push(*d.state); err != nil && !errors.Is(err, door.ErrGone) { // the next door hears it first of all
		d.log.Error("front door state", "err", err)
	}
}

// adopt takes a living door's control socket over from stage 0.
func (d *frontDoor) adopt(ours *os.File) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.connectLocked(ours)
}

// show pushes a state.
func (d *frontDoor) show(s door.State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.state = &s
	if d.control != nil {
		d.pushLocked()
	}
}

func (d *frontDoor) beat() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.control != nil {
		_ = d.control.Beat() // a door that is gone gets the whole state when it is back
	}
}

// stats asks the door what it counted.
func (d *frontDoor) stats(ctx context.Context) (door.Stats, error) {
	d.mu.Lock()
	control := d.control
	d.mu.Unlock()
	if control == nil {
		return door.Stats{}, door.ErrGone
	}
	return control.Stats(ctx)
}

func (d *frontDoor) pid() int {
	v, _ := d.view()
	return v.PID
}
