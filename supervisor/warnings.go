package supervisor

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/door"
	"github.com/sourcegraph/appliance/supervisor/roster"
)

// warnings are what a person should know of the front door although all services are well.
type warnings struct {
	mu   sync.Mutex
	text []string
}

func (w *warnings) now() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.text)
}

// replace returns what is new, and what is over.
func (w *warnings) replace(text []string) (fresh, over []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range text {
		if !slices.Contains(w.text, t) {
			fresh = append(fresh, t)
		}
	}
	for _, t := range w.text {
		if !slices.Contains(text, t) {
			over = append(over, t)
		}
	}
	w.text = text
	return fresh, over
}

// checkDoor asks the door what certificate it has, and makes an event of each warning that comes or goes.
func (s *Supervisor) checkDoor(ctx context.Context) {
	front := s.front()
	var text []string
	if slices.ContainsFunc(front.Listeners, func(l roster.FrontListener) bool { return l.TLS }) {
		ctx, cancel := context.WithTimeout(ctx, setupWait)
		stats, err := s.host.door.stats(ctx)
		cancel()
		if err != nil {
			return // a door that does not answer is asked again at the next beat
		}
		host := ""
		if front.URL != nil {
			host = front.URL.Hostname()
		}
		text = certificateWarnings(stats, s.certificate.problem(), host, time.Now())
	}
	if fault := s.reach.problem(); fault != "" {
		text = append(text, fault)
	}
	fresh, over := s.warned.replace(text)
	for _, t := range fresh {
		s.event(api.Event{Service: doorName, Kind: "warning", Message: t})
		s.log.Warn(doorName + ": " + t)
	}
	for _, t := range over {
		s.event(api.Event{Service: doorName, Kind: "warning", Message: "over: " + t})
	}
}

// certificateWarnings is everything that is wrong, or will be soon, with the certificate in use.
func certificateWarnings(stats door.Stats, fault, host string, now time.Time) (text []string) {
	if fault == "" {
		fault = stats.TLSError
	}
	c := stats.Certificate
	switch {
	case c == nil && fault == "":
		return nil // it is being asked for, or the door is about to be told
	case c == nil:
		return []string{"no certificate: " + fault}
	}
	if fault != "" {
		text = append(text, "the certificate is not the one that there should be: "+fault)
	}
	if host != "" {
		leaf := x509.Certificate{DNSNames: c.Names}
		if err := leaf.VerifyHostname(host); err != nil && !slices.Contains(c.Names, host) {
			text = append(text, fmt.Sprintf("the certificate is for %s, and url names %s: browsers will refuse it", namesIn(c.Names), host))
		}
	}
	switch left := c.NotAfter.Sub(now); {
	case left <= 0:
		text = append(text, "the certificate expired at "+c.NotAfter.Format(time.RFC3339))
	case left < min(expiresSoon, c.NotAfter.Sub(c.NotBefore)/6):
		text = append(text, "the certificate expires at "+c.NotAfter.Format(time.RFC3339))
	case now.Before(c.NotBefore):
		text = append(text, "the certificate is valid only from "+c.NotBefore.Format(time.RFC3339)+"; is the clock right?")
	}
	return text
}

// expiresSoon is when to warn of an end, but not before the last sixth of a short life: one that renews itself does so in the last third.
const expiresSoon = 14 * 24 * time.Hour

func namesIn(names []string) string {
	if len(names) == 0 {
		return "no host name"
	}
	return strings.Join(names, ", ")
}
