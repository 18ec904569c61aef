package supervisor

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sourcegraph/appliance/supervisor/door"
	"github.com/sourcegraph/appliance/supervisor/roster"
)

// opened is the front door as the site wants it, with the contents of the files that it names.
type opened struct {
	roster.Front
	acme door.ACME
}

// maxTrusted bounds acme.ca, bytes: it goes to the door in one message, and a private authority's certificate has about 1 KiB.
const maxTrusted = 16 << 10

// openFront reads what a roster says of the front door; an error refuses the roster.
func (s *Supervisor) openFront(r *roster.Roster) (opened, error) {
	fallback := s.opts.DefaultListen
	if fallback == "" {
		fallback = defaultListen
	}
	site := s.opts.Flags.over(r.Site)
	front, err := site.Front(fallback)
	if err == nil && site.TLS.Cert != "" {
		if _, bad := loadPair(site.TLS); bad != nil {
			err = &roster.Refusal{Code: roster.CodeInvalid, Err: bad, Remedy: "give the certificate chain and the key that belongs to it, both PEM, readable for the user that runs the appliance"}
		}
	}
	if err != nil || site.ACME == nil {
		return opened{Front: front}, err
	}
	a := site.ACME
	o := opened{front, door.ACME{Host: front.URL.Hostname(), Directory: a.Directory, Email: a.Email, Dir: s.acmeDir(), KeyID: a.EAB.KeyID}}
	if a.EAB.KeyFile != "" {
		if o.acme.MACKey, err = readNamed("acme.eab.key_file", string(a.EAB.KeyFile)); err != nil {
			return o, err
		}
	}
	if a.CA == "" {
		return o, nil
	}
	if o.acme.CA, err = readNamed("acme.ca", string(a.CA)); err != nil {
		return o, err
	}
	if len(o.acme.CA) > maxTrusted || !x509.NewCertPool().AppendCertsFromPEM([]byte(o.acme.CA)) {
		return o, named("acme.ca", string(a.CA), fmt.Errorf("it holds no certificates as PEM, or more than %d bytes of them", maxTrusted))
	}
	return o, nil
}

func readNamed(key, file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", named(key, file, err)
	}
	return strings.TrimSpace(string(b)), nil
}

func named(key, file string, err error) error {
	return &roster.Refusal{Code: roster.CodeInvalid, Err: fmt.Errorf("%s %s: %w", key, file, err), Remedy: "correct the file, or the name of it in appliance.yaml"}
}

func (s *Supervisor) front() opened {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// acmeNow is the setting of ACME in force; without a host there is none.
func (s *Supervisor) acmeNow() door.ACME { return s.front().acme }

// acmeDir is where the door keeps accounts and certificates: the only thing in the data directory that is its own.
func (s *Supervisor) acmeDir() string { return filepath.Join(s.opts.Roster.DataDir, "state", "acme") }
