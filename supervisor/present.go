package supervisor

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/door"
	"github.com/sourcegraph/appliance/supervisor/stage0"
)

// presentPause gathers changes that come together; it is well below what a person or a held request notices.
const presentPause = 5 * time.Millisecond

// progressPause gathers what only the door's pages show: at a start that is most of what changes, and each time costs both sides 1 to 3 ms.
const progressPause = 100 * time.Millisecond

// restAfter is how long nothing has changed when the memory that the changes took, most of all a start, goes back to the kernel: the collector
// would wait for garbage that an idle supervisor does not make. It costs some 10 ms of CPU.
const restAfter = 2 * time.Second

// present shows the door, systemd and the terminal what changes.
func (s *Supervisor) present(ctx context.Context) error {
	told := progress{}
	rest := time.NewTimer(restAfter)
	defer rest.Stop()
	for {
		changed := s.engine.Changed()
		var progress <-chan time.Time
		if s.showDoor() {
			progress = time.After(progressPause)
		}
		s.tellProgress(&told)
		rest.Reset(restAfter)
		for idle := true; idle; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-rest.C:
				debug.FreeOSMemory()
			case <-changed:
				idle = false
			case <-progress:
				idle = false
			}
		}
		if !pause(ctx, presentPause) {
			return ctx.Err()
		}
	}
}

// showDoor tells the door what it must do and show now, unless it knows. What only its pages show may come later, which it reports.
func (s *Supervisor) showDoor() (later bool) {
	s.showing.Lock()
	defer s.showing.Unlock()
	st := s.doorState()
	if reflect.DeepEqual(st, s.shown) {
		return false
	}
	if time.Since(s.shownAt) < progressPause && onlyProgress(s.shown, st) {
		return true
	}
	s.host.door.show(st)
	s.shown, s.shownAt = st, time.Now()
	return false
}

// onlyProgress reports whether nothing differs but what the pages say of the services.
func onlyProgress(a, b door.State) bool {
	a.Services = b.Services
	return reflect.DeepEqual(a, b)
}

// progress is what has been said of the start.
type progress struct {
	door, ready bool
	text        string
}

func (s *Supervisor) tellProgress(p *progress) {
	if v, ok := s.engine.View(doorName); ok && v.State == api.Ready && !p.door {
		p.door = true
		if err := s.conn.Send(stage0.Message{Type: stage0.Ready}); err != nil {
			s.log.Debug("tell stage 0 that we are ready", "err", err)
		}
		s.log.Info("starting", "open", s.openURL())
	}
	up, wanted := s.count()
	text := fmt.Sprintf("%d of %d services ready", up, wanted)
	if text != p.text {
		p.text = text
		if err := s.conn.Send(stage0.Message{Type: stage0.Status, Text: text}); err != nil {
			s.log.Debug("status to stage 0", "err", err)
		}
	}
	if p.door && !p.ready && s.ready() {
		p.ready = true
		s.log.Info("ready", "after", time.Since(s.since).Round(time.Millisecond), "open", s.openURL())
	}
}

func (s *Supervisor) count() (up, wanted int) {
	for _, inst := range s.plan().Instances {
		v, ok := s.engine.View(inst.Name())
		if !ok || !v.Wanted {
			continue
		}
		wanted++
		if v.State == api.Ready {
			up++
		}
	}
	return up, wanted
}

// openURL is the exact address to open: off loopback, as long as there is no administrator, the one-time setup URL.
func (s *Supervisor) openURL() string {
	if u := s.setupURL(); u != "" {
		return u
	}
	return s.address()
}

// address is the product's one address, or, if the site names none, the first that the door listens on.
func (s *Supervisor) address() string {
	front := s.front()
	if front.URL != nil {
		return front.URL.String()
	}
	first := front.Listeners[0]
	if _, port, err := net.SplitHostPort(first.Address); err == nil && port == "0" {
		if actual := s.host.door.listening(); actual != "" {
			first.Address = actual
		}
	}
	return webAddress(first.Address, first.TLS)
}

func (s *Supervisor) setupURL() string {
	token := s.setupToken()
	if token == "" {
		return ""
	}
	return s.address() + "/-/appliance/setup?token=" + token
}

// setupToken is what the first administrator is made with; empty when only this machine can reach the door.
func (s *Supervisor) setupToken() string {
	if s.plan().Product == "none" || !s.site().Public(s.front().Front) {
		return ""
	}
	return s.setupSecret()
}

// notice is one sentence for the door's pages.
func (s *Supervisor) notice() string {
	if s.stopping.Load() {
		return "The appliance is stopping."
	}
	return ""
}
