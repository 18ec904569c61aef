package supervisor_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// certify writes a self-signed certificate for localhost, valid for so long.
func (a *appliance) certify(serial int64, valid time.Duration) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-90 * 24 * time.Hour), NotAfter: time.Now().Add(valid)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(a.t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(a.t, err)
	a.replaceFile("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	a.replaceFile("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

// replaceFile writes beside and renames; only the appliance's user may read the file.
func (a *appliance) replaceFile(name string, content []byte) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(a.file(name+".new"), content, 0o600))
	if a.uid != 0 {
		require.NoError(a.t, os.Chown(a.file(name+".new"), a.uid, a.uid))
	}
	require.NoError(a.t, os.Rename(a.file(name+".new"), a.file(name)))
}

func (a *appliance) configure(format string, args ...any) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(a.file("appliance.yaml"), fmt.Appendf(nil, format, args...), 0o644))
}

// shown is the certificate that the front door shows; nil while it shows none.
func shown(address, host string) *x509.Certificate {
	c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, ServerName: host})
	if err != nil {
		return nil
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

func (a *appliance) warnings() []string {
	if st := a.status(); st != nil {
		return st.Appliance.Warnings
	}
	return nil
}

func noRedirects() *http.Client {
	return &http.Client{
		Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// secondLoopback is another address of this machine: of IPv6, where there is that.
func secondLoopback() string {
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		l.Close()
		return "::1"
	}
	return "127.0.0.2"
}

// TestURLOfTheWholeAppliance: the listeners, the redirect, the certificate and its renewal on disk, and what is said of it, also by an ordinary user's.
func TestURLOfTheWholeAppliance(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		secure, clear := freeAddress(t), freeAddress(t)
		second := net.JoinHostPort(secondLoopback(), portOf(clear))
		a.address = clear
		a.certify(1, 24*time.Hour)
		a.configure("url: https://localhost:%s\nlisten: [%q, %q, %q]\ntls: {cert: cert.pem, key: key.pem}\n",
			portOf(secure), secure, "http://"+clear, "http://"+second)
		a.service("idle", "idle", "")
		a.listens = true
		a.run().awaitReady("idle")
		require.Equal(t, "https://localhost:"+portOf(secure), a.status().Appliance.Address)
		a.until("the certificate is shown", func() bool { return shown(secure, "localhost") != nil })
		for _, address := range []string{clear, second} {
			resp, err := noRedirects().Get("http://" + address + "/search?q=x")
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, "https://localhost:"+portOf(secure)+"/search?q=x", resp.Header.Get("Location"))
		}
		require.NoError(t, a.doorAnswers(), "our own pages stay where they are asked for")
		a.until("the end of the certificate is announced", func() bool { return strings.Contains(strings.Join(a.warnings(), "\n"), "certificate expires at") })
		require.Len(t, a.warnings(), 1, "url leads here")

		door := a.status().Appliance.DoorPID
		conn, err := tls.Dial("tcp", secure, &tls.Config{InsecureSkipVerify: true})
		require.NoError(t, err)
		defer conn.Close()
		a.certify(2, 90*24*time.Hour)
		a.until("the new certificate is shown", func() bool { c := shown(secure, "localhost"); return c != nil && c.SerialNumber.Int64() == 2 })
		a.until("the warning is over", func() bool { st := a.status(); return st != nil && len(st.Appliance.Warnings) == 0 })
		warned := 0
		for _, ev := range a.events("door") {
			if ev.Kind == "warning" {
				warned++
			}
		}
		require.Equal(t, 2, warned, "one that came, and its end")

		old := a.stage1(0)
		a.kill(old, syscall.SIGKILL)
		a.stage1(old)
		require.Equal(t, door, a.status().Appliance.DoorPID)
		require.EqualValues(t, 2, shown(secure, "localhost").SerialNumber.Int64())
		_, err = io.WriteString(conn, "GET /-/appliance/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Contains(t, string(answer), "200 OK", "a connection outlives the supervisor")
		if os.Geteuid() == 0 && a.uid == 0 {
			info, err := os.Stat("/proc/" + itoa(door))
			require.NoError(t, err)
			require.NotZero(t, info.Sys().(*syscall.Stat_t).Uid, "the door needs nobody's rights for a key that only root may read")
		}
		require.Equal(t, 0, a.term())
	})
}

// TestURLWithACME: a certificate from a real ACME server, kept over the death of the door.
func TestURLWithACME(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		secure, clear := freeAddress(t), freeAddress(t)
		a.address = clear
		directory, trust := acmeServer(t, clear, secure)
		a.replaceFile("ca.pem", trust)
		a.configure("url: https://localhost:%s\nlisten: [%q, %q]\nacme: {accept_terms: true, directory: %q, ca: ca.pem}\n", portOf(secure), secure, "http://"+clear, directory)
		a.service("idle", "idle", "")
		a.listens = true
		a.run().awaitReady("idle")
		a.until("a certificate came", func() bool { return shown(secure, "localhost") != nil })
		first := shown(secure, "localhost")
		require.Equal(t, []string{"localhost"}, first.DNSNames)
		require.NoError(t, filepath.WalkDir(filepath.Join(a.data, "state", "acme"), func(path string, e fs.DirEntry, err error) error {
			require.NoError(t, err)
			info, err := e.Info()
			require.NoError(t, err)
			require.Zero(t, info.Mode().Perm()&0o077, path)
			return nil
		}))
		door := a.status().Appliance.DoorPID
		a.kill(door, syscall.SIGKILL)
		a.until("another door shows the same", func() bool {
			st := a.status()
			return st != nil && st.Appliance.DoorPID != door && st.Appliance.DoorPID != 0 && shown(secure, "localhost") != nil
		})
		require.Equal(t, first.SerialNumber, shown(secure, "localhost").SerialNumber)
		a.until("nothing to warn of", func() bool { st := a.status(); return st != nil && len(st.Appliance.Warnings) == 0 })
		require.Equal(t, 0, a.term())
	})
}

// TestURLWhoseAuthorityIsAway: the reason is in the status and in why, and the pages say what is missing.
func TestURLWhoseAuthorityIsAway(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	secure, clear := freeAddress(t), freeAddress(t)
	a.address = clear
	a.configure("url: https://localhost:%s\nlisten: [%q, %q]\nacme: {accept_terms: true, directory: \"https://%s/dir\"}\n", portOf(secure), secure, "http://"+clear, freeAddress(t))
	a.service("idle", "idle", "")
	a.listens = true
	a.run().awaitReady("idle")
	a.until("the reason is told", func() bool {
		said := strings.Join(a.warnings(), "\n")
		return strings.Contains(said, "no certificate: ") && strings.Contains(said, "connection refused")
	}, func() any { return a.warnings() })
	chain, err := a.client.Why(a.context(), "door")
	require.NoError(t, err)
	require.Contains(t, chain[0].Message, "connection refused")
	require.Equal(t, api.Ready, chain[0].State)
	require.NotEmpty(t, chain[0].Next)
	resp, err := noRedirects().Get("http://" + clear + "/")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Contains(t, string(body), "certificate for https://localhost")
	require.Nil(t, shown(secure, "localhost"))
	require.Equal(t, 0, a.term())
}

// acmeServer asks its questions at these addresses of localhost; it returns its directory and what to trust it by.
func acmeServer(t *testing.T, clear, secure string) (directory string, trust []byte) {
	t.Helper()
	number := func(address string) int { n, _ := strconv.Atoi(portOf(address)); return n }
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: 90 * 24 * 3600}})
	front := wfe.New(quiet, store, va.New(quiet, number(clear), number(secure), false, "", store), issuer, nil, false, false, 1, 1)
	srv := httptest.NewTLSServer(front.Handler())
	t.Cleanup(srv.Close)
	return srv.URL + wfe.DirectoryPath, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
}

func TestFrontDoorThatCannotBeIsRefused(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"https by nobody":     {"url: https://code.example.com\n", "nothing says who speaks TLS"},
		"terms not accepted":  {"url: https://code.example.com\nacme: {email: a@example.com}\n", "accept_terms: true"},
		"a key of another":    {"url: https://localhost:7443\ntls: {cert: cert.pem, key: other.pem}\n", "other.pem"},
		"no certificate":      {"url: https://localhost:7443\ntls: {cert: cert.pem, key: cert.pem}\n", "cert.pem"},
		"nothing to trust by": {"url: https://localhost:7443\nacme: {accept_terms: true, directory: https://localhost/, ca: other.pem}\n", "no certificates as PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAppliance(t)
			a.certify(1, time.Hour)
			require.NoError(t, os.Rename(a.file("key.pem"), a.file("other.pem")))
			a.certify(2, time.Hour)
			a.configure("%s", tc.text)
			a.listens = true
			require.Equal(t, 2, a.run().code())
			require.Contains(t, a.out.String(), tc.want)
			a.noOneIsLeft()
		})
	}
}

func TestE69LowPortsNameTheRemedy(t *testing.T) {
	start, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	require.NoError(t, err)
	if n, _ := strconv.Atoi(strings.TrimSpace(string(start))); n < 82 {
		t.Skip("ordinary users may listen on low ports here")
	}
	t.Parallel()
	a := newAppliance(t).asUser(65534)
	a.address = "127.0.0.1:81"
	require.Equal(t, 6, a.run().code())
	require.Contains(t, a.out.String(), "ip_unprivileged_port_start=81")
	require.Contains(t, a.out.String(), "setcap")
	a.noOneIsLeft()
}

func TestE69AddressThatIsNotOurs(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.address = "192.0.2.1:" + portOf(freeAddress(t)) // of no machine: RFC 5737
	require.Equal(t, 6, a.run().code())
	require.Contains(t, a.out.String(), "no address of this machine")
	a.noOneIsLeft()
}

// TestListenersFollowAReload: what is new opens, what is gone closes, what stays keeps its connections; what cannot be had leaves all as it was.
func TestListenersFollowAReload(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	first, second := freeAddress(t), freeAddress(t)
	a.address, a.listens = first, true
	a.configure("listen: %q\n", first)
	a.service("idle", "idle", "")
	a.run().awaitReady("idle")
	a.configure("listen: [%q, %q]\n", first, second)
	_, err := a.client.Reload(a.context())
	require.NoError(t, err)
	a.until("it answers at the first", func() bool { return a.doorAnswers() == nil })
	a.address = second
	a.until("it answers at the second", func() bool { return a.doorAnswers() == nil })

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	a.configure("listen: [%q, %q]\n", first, taken.Addr().String())
	change, err := a.client.Reload(a.context())
	require.NoError(t, err)
	require.Contains(t, strings.Join(change.Warnings, "\n"), taken.Addr().String())
	require.NoError(t, a.doorAnswers(), "as it was")

	a.configure("listen: [%q]\n", second)
	_, err = a.client.Reload(a.context())
	require.NoError(t, err)
	a.until("the first is closed", func() bool {
		c, err := net.Dial("tcp", first)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	require.NoError(t, a.doorAnswers())
	require.Equal(t, 0, a.term())
}
