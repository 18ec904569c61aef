package door

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

const acmeHost = "code.example.com"

// authority is Let's Encrypt's test server, which asks its questions at our ports.
type authority struct {
	directory string
	trust     string // PEM: of its own server
	roots     *x509.CertPool
}

// newAuthority asks at these ports; every name is on loopback. With a key, it knows account "known" from elsewhere.
func newAuthority(t *testing.T, httpPort, tlsPort int, key string) authority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0")
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	if key != "" {
		require.NoError(t, store.AddExternalAccountKeyByID("known", key))
	}
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: 3600 * 24 * 90}})
	front := wfe.New(quiet, store, va.New(quiet, httpPort, tlsPort, false, nameServer(t), store), issuer, nil, false, key != "", 1, 1)
	srv := httptest.NewTLSServer(front.Handler())
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(issuer.GetRootCert(0).Cert)
	return authority{
		directory: srv.URL + wfe.DirectoryPath, roots: roots,
		trust: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})),
	}
}

// nameServer says that every name is at 127.0.0.1.
func nameServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &dns.Server{Listener: l, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		if q := r.Question[0]; q.Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)})
		}
		_ = w.WriteMsg(m) // the client asks again
	})}
	go srv.ActivateAndServe()
	t.Cleanup(func() { _ = srv.Shutdown() })
	return l.Addr().String()
}

func portOf(t *testing.T, addr string) int {
	a, err := net.ResolveTCPAddr("tcp", addr)
	require.NoError(t, err)
	return a.Port
}

// issuing is a door that is to get its certificate from an authority which reaches only the given ports.
func issuing(t *testing.T, dir string, reachHTTP, reachTLS bool) (*house, string, authority) {
	t.Helper()
	clearAddr, clear := listenerFile(t)
	tlsAddr, secret := listenerFile(t)
	nobody := freePort(t)
	at := ports{nobody, nobody}
	if reachHTTP {
		at.http = portOf(t, clearAddr)
	}
	if reachTLS {
		at.tls = portOf(t, tlsAddr)
	}
	a := newAuthority(t, at.http, at.tls, "")
	h := newHouse(t, State{
		Mode: Progress, ExternalURL: "https://" + acmeHost, Redirect: true,
		ACME: ACME{Host: acmeHost, Directory: a.directory, CA: a.trust, Dir: dir, Email: "admin@example.com"},
	})
	require.NoError(t, h.SetListeners([]Listener{{Name: "clear", File: clear}, {Name: "tls", File: secret, TLS: true}}))
	h.addr = clearAddr
	return h, tlsAddr, a
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return portOf(t, l.Addr().String())
}

// verified shakes hands as a browser that trusts the authority, and returns the serial number of what it was shown.
func verified(t *testing.T, addr string, roots *x509.CertPool) string {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{ServerName: acmeHost, RootCAs: roots})
	require.NoError(t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func (h *house) issued() {
	h.t.Helper()
	h.eventually("a certificate", func(s Stats) bool { return s.Certificate != nil && s.TLSError == "" })
}

func TestACMEByEitherChallenge(t *testing.T) {
	for name, reach := range map[string][2]bool{"http-01": {true, false}, "tls-alpn-01": {false, true}} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "acme")
			h, addr, a := issuing(t, dir, reach[0], reach[1])
			h.issued()
			serial := verified(t, addr, a.roots)
			require.Equal(t, []string{acmeHost}, h.stats().Certificate.Names)
			resp, _ := h.do("GET", "/x", nil)
			require.Equal(t, 308, resp.StatusCode, "nobody is held back any more")
			require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
				require.NoError(t, err)
				info, err := e.Info()
				require.NoError(t, err)
				require.Zero(t, info.Mode().Perm()&0o077, path)
				return nil
			}))

			next := newHouse(t, State{Mode: Progress}) // another door with the same directory, and an authority that is away
			require.NoError(t, next.SetListeners([]Listener{listenOn(t)}))
			next.push(State{Mode: Progress, ACME: ACME{Host: acmeHost, Directory: "https://127.0.0.1:1/dir", CA: a.trust, Dir: dir}})
			nextAddr := next.stats().Listeners["tls"]
			h.push(State{Mode: Progress, ACME: ACME{Host: acmeHost, Directory: a.directory, CA: a.trust, Dir: dir, Email: "other@example.com"}})
			h.issued()
			require.Equal(t, serial, verified(t, addr, a.roots), "a certificate that is kept is not asked for again")
			require.NotEmpty(t, nextAddr)
		})
	}
}

func listenOn(t *testing.T) Listener {
	_, f := listenerFile(t)
	return Listener{Name: "tls", File: f, TLS: true}
}

func TestACMEFailureIsTold(t *testing.T) {
	h, addr, _ := issuing(t, filepath.Join(t.TempDir(), "acme"), false, false)
	h.eventually("the reason", func(s Stats) bool { return strings.Contains(s.TLSError, "next try in") })
	said := h.stats()
	require.Nil(t, said.Certificate)
	require.Contains(t, said.TLSError, acmeHost)
	require.Regexp(t, "refused|connection|unauthorized", said.TLSError)
	resp, body := h.do("GET", "/", nil, "Accept", "text/html")
	require.Equal(t, 503, resp.StatusCode)
	require.Contains(t, body, "is not there yet")
	resp, _ = h.do("GET", "/.well-known/acme-challenge/unknown", nil)
	require.NotEqual(t, 308, resp.StatusCode)
	_, err := tls.Dial("tcp", addr, &tls.Config{ServerName: acmeHost, InsecureSkipVerify: true})
	require.Error(t, err)
}

func TestACMEDirectoryThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	h, _, _ := issuing(t, filepath.Join(file, "acme"), true, true)
	h.eventually("the reason", func(s Stats) bool { return strings.Contains(s.TLSError, "not a directory") })
	require.Contains(t, h.stats().TLSError, file)
}

func TestACMEAccountKnownFromElsewhere(t *testing.T) {
	key := base64.RawURLEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	dir := t.TempDir() // removed once the door, which writes there, has ended
	clearAddr, clear := listenerFile(t)
	a := newAuthority(t, portOf(t, clearAddr), freePort(t), key)
	h := newHouse(t, State{Mode: Progress})
	require.NoError(t, h.SetListeners([]Listener{{Name: "clear", File: clear}}))
	settings := ACME{Host: acmeHost, Directory: a.directory, CA: a.trust, Dir: filepath.Join(dir, "acme")}
	h.push(State{Mode: Progress, ACME: settings})
	h.eventually("it is refused without the account", func(s Stats) bool { return strings.Contains(s.TLSError, "xternal") })
	settings.KeyID, settings.MACKey = "known", key
	h.push(State{Mode: Progress, ACME: settings})
	h.issued()
	require.NotContains(t, h.log.String(), key)
}

func TestACMEThatIsTurnedOff(t *testing.T) {
	h, addr, a := issuing(t, filepath.Join(t.TempDir(), "acme"), true, true)
	h.issued()
	verified(t, addr, a.roots)
	h.push(State{Mode: Progress, TLS: newPair(t, "given")})
	require.Equal(t, []string{"given"}, h.stats().Certificate.Names)
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, "given", c.ConnectionState().PeerCertificates[0].Subject.CommonName)
	resp, err := http.Get("http://" + h.addr + "/.well-known/acme-challenge/x")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 503, resp.StatusCode, "an ordinary path again")
}
