package door

import (
	"crypto/subtle"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// view is a State made ready for use. It never changes; a new State makes a new one.
type view struct {
	State
	modeIndex int
	trusted   []netip.Prefix
	backend   *backend   // nil without an address
	canonical *canonical // nil: nothing is redirected
}

// newView takes the backend of old if it is still the same, with its idle connections.
func newView(s State, old *view) (*view, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	trusted, err := parsePrefixes(s.TrustedProxies)
	if err != nil {
		return nil, err
	}
	s.Limits = s.Limits.withDefaults()
	orDefault(&s.BeatTimeout, 30*time.Second)
	if s.Product == "" {
		s.Product = "The appliance"
	}
	v := &view{State: s, trusted: trusted, canonical: newCanonical(s)}
	for i, m := range modes {
		if m == s.Mode {
			v.modeIndex = i
		}
	}
	switch {
	case s.Backend == "":
	case old != nil && old.backend != nil && old.backend.address == s.Backend && old.backend.answerTimeout == s.Limits.AnswerTimeout:
		v.backend = old.backend
	default:
		v.backend = newBackend(s.Backend, s.Limits.AnswerTimeout)
	}
	return v, nil
}

// servesTLS says whether the door itself speaks TLS with clients, rather than a proxy before it.
func (v *view) servesTLS() bool { return v.TLS != (TLS{}) || v.ACME.Host != "" }

// trusts says whether forwarded headers of this peer are believed.
func (v *view) trusts(a netip.Addr) bool {
	for _, p := range v.trusted {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// knowsToken compares in constant time.
func (v *view) knowsToken(t string) bool {
	return v.SetupToken != "" && subtle.ConstantTimeCompare([]byte(t), []byte(v.SetupToken)) == 1
}

// connectionsAllowed leaves half the descriptors to the connections of the backend, and as much again as a reserve.
func connectionsAllowed() int {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil || r.Cur == 0 || r.Cur > 4*4096 {
		return 4096
	}
	return max(1, int(r.Cur)/4)
}
