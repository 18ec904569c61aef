package supervisor

import (
	"github.com/sourcegraph/appliance/supervisor/roster"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// Flags are what `run` was told about the appliance as a whole; they win over the site's file. A zero value says nothing.
type Flags struct {
	Listen          string
	TLSCert, TLSKey string
	LogStdout       *bool
}

// defaultListen is the front door's address when nobody says another.
const defaultListen = "127.0.0.1:7080"

// site is what is in force: flag, then file, then default.
func (s *Supervisor) site() roster.Site {
	s.mu.Lock()
	site := s.roster.Site
	s.mu.Unlock()
	f := s.opts.Flags
	if f.Listen != "" {
		site.Listen = keys.Address(f.Listen)
	}
	if site.Listen == "" {
		site.Listen = keys.Address(s.opts.DefaultListen)
	}
	if site.Listen == "" {
		site.Listen = defaultListen
	}
	if f.TLSCert != "" {
		site.TLS = roster.TLS{Cert: keys.File(f.TLSCert), Key: keys.File(f.TLSKey)}
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
	return values
}
