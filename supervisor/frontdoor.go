package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
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

// instance is the door's definition. Its user needs no right but to read the certificate.
func (d *frontDoor) instance(self, user, dir string, tls bool) services.Instance {
	if tls {
		user = "root" // without any capability; the key is root's as a rule
	}
	return services.Instance{
		Service: doorName, Replicas: 1, Kind: services.KindService, Wanted: true, Program: self, Source: "appliance",
		Argv: []string{"sourcegraph", "door"}, Env: []string{"GOGC=50", "GOMEMLIMIT=64MiB", "LANG=C.UTF-8", "TZ=UTC"},
		Dir: dir, User: user, Budget: services.Budget{NoFile: 16384, CPUWeight: 400},
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

// listen opens the listener, or takes the one that stage 0 holds. With the address in use already, only how it is served changes.
func (d *frontDoor) listen(address string, tls bool, stored map[string][]*os.File) error {
	name := "listen/" + address
	if d.reuse(name, tls) {
		return nil
	}
	if files := stored[name]; len(files) == 1 {
		d.setListener(name, files[0], tls)
		return nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	d.tell(stage0.Message{Type: stage0.Store, Name: name, Files: []*os.File{f}})
	d.setListener(name, f, tls)
	return nil
}

func (d *frontDoor) setListener(name string, f *os.File, tls bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, old := range d.listeners {
		old.File.Close()
	}
	d.listeners = []door.Listener{{Name: name, File: f, TLS: tls}}
	d.refreshLocked()
}

// listening is the address that the listener really has: the port may have been chosen by the kernel.
func (d *frontDoor) listening() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.listeners) == 0 {
		return ""
	}
	l, err := net.FileListener(d.listeners[0].File)
	if err != nil {
		return ""
	}
	defer l.Close()
	return l.Addr().String()
}

// reuse is true when the listener is the present one.
func (d *frontDoor) reuse(name string, tls bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.listeners) != 1 || d.listeners[0].Name != name {
		return false
	}
	d.listeners[0].TLS = tls
	d.refreshLocked()
	return true
}

// doorState is what the door must do and show now.
func (s *Supervisor) doorState() door.State {
	plan, site := s.plan(), s.site()
	st := door.State{
		Mode: s.doorMode(), Product: productName(plan.Product), Version: plan.Version, Release: plan.Release, Ready: s.ready(), Since: s.since,
		SetupToken: s.setupToken(), Message: s.notice(),
		TLS:    door.TLS{CertFile: string(site.TLS.Cert), KeyFile: string(site.TLS.Key)},
		Limits: door.Limits{MaxBody: maxBody},
	}
	for _, prefix := range site.TrustedProxies {
		st.TrustedProxies = append(st.TrustedProxies, prefix.String())
	}
	for _, inst := range plan.Instances {
		v, ok := s.engine.View(inst.Name())
		if !ok {
			continue
		}
		if inst.Service == frontendName {
			st.Backend = inst.Addresses["http"]
		}
		st.Services = append(st.Services, door.Service{
			Name: inst.Name(), State: string(v.State), Reason: v.Reason, WaitingFor: v.WaitingFor, Loss: inst.Loss,
		})
	}
	return st
}

// maxBody is the largest request body: Sourcegraph's own limit for uploads.
// src: sourcegraph: cmd/server/shared/assets/nginx.conf @3.38 (client_max_body_size 150M); the rest is for its envelope.
const maxBody = 160 << 20

func productName(product string) string {
	switch product {
	case "demo":
		return "Demo search"
	case "sourcegraph":
		return "Sourcegraph"
	}
	return ""
}

// doorMode follows the frontend: a page while it comes up for the first time, requests held while it restarts, a page while it is away.
func (s *Supervisor) doorMode() door.Mode {
	v, ok := s.engine.View(frontendName)
	if !ok {
		v, ok = s.engine.View(frontendName + "/0")
	}
	d := s.host.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if !ok {
		return door.Progress
	}
	switch {
	case s.stopping.Load():
		return door.Maintenance
	case v.State == api.Ready || v.State == api.Degraded:
		d.answered = true
		return door.Proxy
	case !v.Wanted || v.State == api.Failed || v.State == api.Unkillable || v.State == api.Stopped:
		return door.Maintenance
	case !d.answered && v.Run <= 1:
		return door.Progress
	case v.State == api.Waiting && v.Held:
		return door.Maintenance
	}
	return door.Hold
}

// isLoopback says whether only this machine can reach the address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// webAddress is what a person opens.
func webAddress(listen string, tls bool) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if tls {
		scheme = "https"
	}
	return scheme + "://" + strings.TrimSuffix(net.JoinHostPort(host, port), ":"+map[string]string{"http": "80", "https": "443"}[scheme])
}
