package supervisor

import (
	"cmp"

	"github.com/sourcegraph/appliance/supervisor/roster"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// Flags are what `run` was told about the appliance as a whole; they win over the site's file. A zero value says nothing.
type Flags struct {
	Listen          []keys.Listener
	TLSCert, TLSKey string
	LogStdout       *bool
}

// defaultListen is the front door's address when nobody says another.
const defaultListen = "127.0.0.1:7080"

// site is what is in force: flag, then file.
func (s *Supervisor) site() roster.Site {
	s.mu.Lock()
	site := s.roster.Site
	s.mu.Unlock()
	return s.opts.Flags.over(site)
}

// over is the site with what the flags say instead.
func (f Flags) over(site roster.Site) roster.Site {
	if len(f.Listen) > 0 {
		site.Listen = f.Listen
	}
	if f.TLSCert != "" {
		site.TLS, site.ACME = roster.TLS{Cert: keys.File(f.TLSCert), Key: keys.File(f.TLSKey)}, nil
	}
	if f.LogStdout != nil {
		site.Log.Stdout = f.LogStdout
	}
	return site
}

// secrets are the contents that a start may need, by name.
func (s *Supervisor) secrets() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roster.Secrets
}

// secretValues is what no log may show.
func (s *Supervisor) secretValues() []string {
	var values []string
	for _, v := range s.secrets() {
		values = append(values, v)
	}
	if setup := s.setupSecret(); setup != "" {
		values = append(values, setup)
	}
	if key := s.acmeNow().MACKey; key != "" {
		values = append(values, key)
	}
	return values
}

// metricsAddress is where the appliance's own metrics are served in clear; empty for nowhere.
func (s *Supervisor) metricsAddress() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.roster.Metrics, string(s.roster.Site.Metrics.Listen)) // the latter for a plan that an earlier version has kept
}
