package supervisor

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sourcegraph/appliance/supervisor/door"
)

// reach knows whether the product's one address leads to this door, as seen from this machine. It asks the address itself, and nobody else.
type reach struct {
	mark string // our door shows it, no other does
	ask  chan struct{}

	mu    sync.Mutex
	fault string
}

const (
	reachTimeout = 10 * time.Second
	reachAgain   = 30 * time.Second // while it does not lead here: somebody may be at work on it
	reachEvery   = time.Hour
)

func newReach() *reach { return &reach{mark: rand.Text(), ask: make(chan struct{}, 1)} }

// again asks at once.
func (r *reach) again() {
	select {
	case r.ask <- struct{}{}:
	default:
	}
}

func (r *reach) problem() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}

// look asks the address; nil: there is none.
func (r *reach) look(ctx context.Context, u *url.URL) {
	fault := ""
	if u != nil {
		fault = r.find(ctx, u)
	}
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = fault
}

// find says in one sentence why u does not lead here; empty: it does. Certificates are looked at elsewhere: this is only about the way.
func (r *reach) find(ctx context.Context, u *url.URL) string {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	client := http.Client{
		Timeout: reachTimeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String()+"/-/appliance/healthz", nil)
	if err != nil {
		return err.Error()
	}
	resp, err := client.Do(req)
	var dns *net.DNSError
	var alert tls.AlertError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("url is %s, and DNS knows no host %q: add it to your DNS, or correct url", u, u.Hostname())
	case errors.As(err, &dns):
		return fmt.Sprintf("url is %s, and its host could not be looked up from this machine: %v", u, dns)
	case errors.As(err, &alert):
		return "" // somebody there speaks TLS and has no certificate: that is told where it is known
	case err != nil:
		return fmt.Sprintf("url is %s, which could not be reached from this machine: %v; see that DNS points here, and that firewalls and port mappings let it through", u, errors.Unwrap(err))
	}
	resp.Body.Close()
	if resp.Header.Get(door.MarkHeader) != r.mark {
		return fmt.Sprintf("url is %s, and another server answers there (%s): see that DNS, or the proxy there, points to this machine", u, resp.Status)
	}
	return ""
}

// watchReach looks now and then, and when the configuration changes.
func (s *Supervisor) watchReach(ctx context.Context) error {
	for wait := 2 * time.Second; ; { // the door is up by then; if it is not, it is asked again soon
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-s.reach.ask:
		case <-timer.C:
		}
		timer.Stop()
		u := s.front().URL
		if s.site().Offline { // where it leads is for a name server and a network to say that are not ours
			u = nil
		}
		s.reach.look(ctx, u)
		if wait = reachEvery; s.reach.problem() != "" {
			wait = reachAgain
		}
	}
}
