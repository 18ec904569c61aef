package door

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// ACME says how the door gets its certificate by itself, and renews it (RFC 8555). Whoever sets it has agreed to the authority's terms.
type ACME struct {
	Host      string `json:"host"`      // that the certificate is for; empty: no ACME
	Directory string `json:"directory"` // of the authority; empty: Let's Encrypt
	Email     string `json:"email"`
	Dir       string `json:"dir"`     // where account keys and certificates are kept, the door's own
	CA        string `json:"ca"`      // PEM: trust the authority's server by these; empty: by the host's
	KeyID     string `json:"key_id"`  // of an account that the authority knows from elsewhere; empty: none is needed
	MACKey    string `json:"mac_key"` // base64url, with KeyID
}

const challengeProtocol = acmez.ACMETLS1Protocol

// ports are where the authority's questions arrive: its port 80 and 443, as they are forwarded to us. 0: no such listener.
type ports struct{ http, tls int }

// issuance is one ACME setting at work, from newIssuance to stop.
type issuance struct {
	settings ACME
	ports    ports
	log      *log.Logger
	config   *certmagic.Config
	issuer   *certmagic.ACMEIssuer
	cache    *certmagic.Cache
	cancel   context.CancelFunc

	mu    sync.Mutex
	fault string // of the last try; empty once there is a certificate
}

// newIssuance uses the certificate that is kept, and gets or renews one in the background; it waits for nobody.
func newIssuance(a ACME, at ports, log *log.Logger) *issuance {
	i := &issuance{settings: a, ports: at, log: log}
	logger := zap.New(faultCore{note: i.note})
	i.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return i.config, nil }, Logger: logger,
	})
	i.config = certmagic.New(i.cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: a.Dir}, Logger: logger, OnEvent: i.hear,
		DefaultServerName: a.Host, // a client that names nobody gets what there is
		OCSP:              certmagic.OCSPConfig{DisableStapling: true},
	})
	template := certmagic.ACMEIssuer{
		CA: a.Directory, Email: a.Email, Agreed: true, Logger: logger,
		AltHTTPPort: at.http, DisableHTTPChallenge: at.http == 0, AltTLSALPNPort: at.tls, DisableTLSALPNChallenge: at.tls == 0,
	}
	if a.CA != "" {
		template.TrustedRoots = x509.NewCertPool()
		template.TrustedRoots.AppendCertsFromPEM([]byte(a.CA)) // stage 1 has looked at it
	}
	if a.KeyID != "" {
		template.ExternalAccount = &acme.EAB{KeyID: a.KeyID, MACKey: a.MACKey}
	}
	i.issuer = certmagic.NewACMEIssuer(i.config, template)
	i.config.Issuers = []certmagic.Issuer{i.issuer}
	var ctx context.Context
	ctx, i.cancel = context.WithCancel(context.Background())
	go i.manage(ctx)
	return i
}

// againAfter is the pause after a try that the library does not repeat by itself, such as one that a full disk ended.
const againAfter = 2 * time.Minute

// manage gets the certificate if there is none, with the library's own pauses, which respect the limits of public authorities, and sees to its renewal.
func (i *issuance) manage(ctx context.Context) {
	for {
		err := i.config.ObtainCertAsync(ctx, i.settings.Host) // returns when there is one: its name means that nobody is asked anything
		if err == nil {
			err = i.config.ManageAsync(ctx, []string{i.settings.Host})
		}
		if err == nil && i.certificate() == nil { // it only logs why
			_, err = i.config.CacheManagedCertificate(ctx, i.settings.Host)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		i.fail(fmt.Sprintf("%v; next try in %s", err, againAfter))
		select {
		case <-ctx.Done():
			return
		case <-time.After(againAfter):
		}
	}
}

func (i *issuance) stop() {
	i.cancel()
	i.cache.Stop()
}

// hear is told what the library does.
func (i *issuance) hear(_ context.Context, event string, data map[string]any) error {
	switch event {
	case "cert_obtaining":
		i.log.Printf("getting a certificate for %v from %s", data["identifier"], i.issuer.CA)
	case "cert_failed":
		i.fail(fmt.Sprint(data["error"]))
	case "cached_managed_cert":
		i.log.Printf("the certificate for %s is in use", i.settings.Host)
		i.fail("")
	}
	return nil
}

// fail keeps why there is no certificate, or no new one; empty: there is.
func (i *issuance) fail(why string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fault = why
}

// note takes one line of the library's log: all are evidence, and one says when the next try is.
func (i *issuance) note(line string, nextTry bool) {
	i.log.Print(line)
	if nextTry {
		i.fail(line)
	}
}

func (i *issuance) problem() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fault
}

// certificate is the one for the host; nil while there is none.
func (i *issuance) certificate() *x509.Certificate {
	for _, c := range i.cache.AllMatchingCertificates(i.settings.Host) {
		if c.Leaf != nil {
			return c.Leaf
		}
	}
	return nil
}

// answersChallenge tells the authority in clear what it asks for, and says whether it was asked.
func (d *door) answersChallenge(w http.ResponseWriter, r *http.Request) bool {
	if !challengePath([]byte(r.URL.Path)) {
		return false
	}
	i := d.certs.issuing()
	return i != nil && i.issuer.HandleHTTPChallenge(w, r)
}

// reissue makes what is at work follow the State and the listeners. Only the control loop calls it.
func (d *door) reissue() {
	want, at := d.view.Load().ACME, d.challengePorts()
	c := d.certs
	old := c.issuing()
	if old != nil && old.settings == want && old.ports == at {
		return
	}
	var next *issuance
	if want.Host != "" && at != (ports{}) {
		next = newIssuance(want, at, d.log)
	}
	c.mu.Lock()
	c.issuance = next
	c.mu.Unlock()
	if old != nil {
		old.stop()
	}
}

func (d *door) challengePorts() (at ports) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.listeners {
		port := l.Addr().(*net.TCPAddr).Port
		if l.tls && (at.tls == 0 || port == 443) {
			at.tls = port
		}
		if !l.tls && (at.http == 0 || port == 80) {
			at.http = port
		}
	}
	return at
}

// isChallenge says whether a handshake was the authority's question: it has its answer by now.
func isChallenge(t *tls.Conn) bool {
	return t.ConnectionState().NegotiatedProtocol == challengeProtocol
}

// faultCore passes the library's errors on, one line each.
type faultCore struct {
	note func(line string, nextTry bool)
}

// Enabled implements [zapcore.Core].
func (faultCore) Enabled(l zapcore.Level) bool { return l >= zapcore.ErrorLevel }

// With implements [zapcore.Core]; the error itself names what it is about.
func (c faultCore) With([]zapcore.Field) zapcore.Core { return c }

// Sync implements [zapcore.Core].
func (faultCore) Sync() error { return nil }

// Check implements [zapcore.Core].
func (c faultCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements [zapcore.Core].
func (c faultCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	line, nextTry := e.Message, false
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && e.Message == "will retry" {
			line = err.Error()
		} else if ok {
			line += ": " + err.Error()
		}
		if f.Key == "retrying_in" {
			line, nextTry = line+"; next try in "+time.Duration(f.Integer).String(), true
		}
	}
	c.note(line, nextTry)
	return nil
}
