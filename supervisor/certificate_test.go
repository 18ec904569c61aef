package supervisor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/door"
	"github.com/sourcegraph/appliance/supervisor/roster"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

const certificatePatience = 30 * time.Second

// makePair makes a self-signed certificate for name with its key, PEM.
func makePair(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func writePair(t *testing.T, dir, name string) roster.TLS {
	t.Helper()
	cert, key := makePair(t, name)
	files := roster.TLS{Cert: keys.File(filepath.Join(dir, "cert.pem")), Key: keys.File(filepath.Join(dir, "key.pem"))}
	require.NoError(t, os.WriteFile(string(files.Cert), cert, 0o600))
	require.NoError(t, os.WriteFile(string(files.Key), key, 0o600))
	return files
}

// nameOf is whom a pair is for.
func nameOf(t *testing.T, pair door.TLS) string {
	t.Helper()
	p, err := tls.X509KeyPair([]byte(pair.Cert), []byte(pair.Key))
	require.NoError(t, err)
	return p.Leaf.DNSNames[0]
}

// watched runs a watch for the length of a test and returns what it tells.
func watched(t *testing.T, files roster.TLS) (*certificate, <-chan string) {
	t.Helper()
	c := newCertificate(slog.New(slog.DiscardHandler))
	c.use(files)
	ctx, cancel := context.WithCancel(context.Background())
	told, ended := make(chan string, 16), make(chan error, 1)
	go func() { ended <- c.watch(ctx, func() { told <- nameOf(t, c.current()) }) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
	return c, told
}

func awaitTold(t *testing.T, told <-chan string, want string) {
	t.Helper()
	select {
	case got := <-told:
		require.Equal(t, want, got)
	case <-time.After(certificatePatience):
		require.Fail(t, "nobody told of "+want)
	}
}

func TestCertificateIsReadAgainWhenItChanges(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir string){
		"written in place": func(t *testing.T, dir string) { writePair(t, dir, "second") },
		"renamed": func(t *testing.T, dir string) {
			beside := t.TempDir()
			files := writePair(t, beside, "second")
			require.NoError(t, os.Rename(string(files.Key), filepath.Join(dir, "key.pem")))
			require.NoError(t, os.Rename(string(files.Cert), filepath.Join(dir, "cert.pem")))
		},
		"removed, then written": func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "cert.pem")))
			require.NoError(t, os.Remove(filepath.Join(dir, "key.pem")))
			writePair(t, dir, "second")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c, told := watched(t, writePair(t, dir, "first"))
			require.Equal(t, "first", nameOf(t, c.current()))
			change(t, dir)
			awaitTold(t, told, "second")
			require.Empty(t, c.problem())
		})
	}
}

// A volume of Kubernetes shows files through a link to a directory that is exchanged as a whole.
func TestCertificateBehindALinkThatIsSwapped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"first", "second"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		writePair(t, filepath.Join(dir, name), name)
	}
	require.NoError(t, os.Symlink("first", filepath.Join(dir, "..data")))
	files := roster.TLS{Cert: keys.File(filepath.Join(dir, "cert.pem")), Key: keys.File(filepath.Join(dir, "key.pem"))}
	require.NoError(t, os.Symlink("..data/cert.pem", string(files.Cert)))
	require.NoError(t, os.Symlink("..data/key.pem", string(files.Key)))
	_, told := watched(t, files)
	require.NoError(t, os.Symlink("second", filepath.Join(dir, "..new")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")))
	awaitTold(t, told, "second")
}

func TestCertificateThatCannotBeUsedIsToldAndTheOldOneKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := writePair(t, dir, "first")
	c, told := watched(t, files)
	require.NoError(t, os.WriteFile(string(files.Cert), []byte("half a certif"), 0o600))
	require.Eventually(t, func() bool { return c.problem() != "" }, certificatePatience, 10*time.Millisecond)
	require.Contains(t, c.problem(), string(files.Cert))
	require.Contains(t, c.problem(), "stays in use")
	require.Equal(t, "first", nameOf(t, c.current()))
	writePair(t, dir, "second")
	awaitTold(t, told, "second")
	require.Empty(t, c.problem())

	other := writePair(t, t.TempDir(), "third")
	c.use(other)
	require.Equal(t, "third", nameOf(t, c.current()))
	writePair(t, filepath.Dir(string(other.Cert)), "fourth") // the new place is watched
	awaitTold(t, told, "fourth")
	c.use(roster.TLS{})
	require.Empty(t, c.current())
}

func TestCertificateWarnings(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	good := door.Certificate{Names: []string{"code.example.com", "*.wild.example.com", "10.0.0.1"}, NotBefore: now.Add(-30 * day), NotAfter: now.Add(60 * day)}
	with := func(change func(*door.Certificate)) *door.Certificate {
		c := good
		change(&c)
		return &c
	}
	for name, tc := range map[string]struct {
		cert  *door.Certificate
		told  string // by the door
		read  string // by us
		host  string
		wants []string
	}{
		"well":                 {&good, "", "", "code.example.com", nil},
		"well, by a wildcard":  {&good, "", "", "a.wild.example.com", nil},
		"well, by address":     {&good, "", "", "10.0.0.1", nil},
		"well, without url":    {&good, "", "", "", nil},
		"another host":         {&good, "", "", "other.example.com", []string{"is for code.example.com, *.wild.example.com, 10.0.0.1, and url names other.example.com"}},
		"none, and why":        {nil, "refused by the authority", "", "code.example.com", []string{"no certificate: refused by the authority"}},
		"none yet":             {nil, "", "", "code.example.com", nil},
		"a newer one is bad":   {&good, "", "no PEM", "code.example.com", []string{"not the one that there should be: no PEM"}},
		"ends soon":            {with(func(c *door.Certificate) { c.NotBefore, c.NotAfter = now.Add(-300*day), now.Add(13*day) }), "", "", "", []string{"expires at 2026-01-14T00:00:00Z"}},
		"short-lived, not yet": {with(func(c *door.Certificate) { c.NotBefore, c.NotAfter = now.Add(-3*day), now.Add(3*day) }), "", "", "", nil},
		"short-lived, not in time": {with(func(c *door.Certificate) {
			c.NotBefore, c.NotAfter = now.Add(-5*day-12*time.Hour), now.Add(12*time.Hour)
		}), "", "", "", []string{"expires at"}},
		"has ended":     {with(func(c *door.Certificate) { c.NotAfter = now.Add(-day) }), "", "", "", []string{"expired at 2025-12-31"}},
		"has not begun": {with(func(c *door.Certificate) { c.NotBefore = now.Add(day) }), "", "", "", []string{"is the clock right?"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := certificateWarnings(door.Stats{Certificate: tc.cert, TLSError: tc.told}, tc.read, tc.host, now)
			require.Len(t, got, len(tc.wants), "%q", got)
			for i, want := range tc.wants {
				require.Contains(t, got[i], want)
			}
		})
	}
}

func TestURLThatLeadsElsewhereIsTold(t *testing.T) {
	r := newReach()
	mark := r.mark
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(door.MarkHeader, mark) }))
	defer srv.Close()
	u, err := url.Parse(srv.URL)
	require.NoError(t, err)
	r.look(t.Context(), u)
	require.Empty(t, r.problem(), "here it is, whatever its certificate")

	r.mark = "another"
	r.look(t.Context(), u)
	require.Contains(t, r.problem(), "another server answers there (200 OK)")

	srv.Close()
	r.look(t.Context(), u)
	require.Contains(t, r.problem(), "could not be reached from this machine")
	require.Contains(t, r.problem(), "connection refused")

	u.Host = "no-such-host.invalid"
	r.look(t.Context(), u)
	require.Contains(t, r.problem(), "no-such-host.invalid")
	require.Regexp(t, "DNS knows no host|could not be looked up", r.problem())

	r.look(t.Context(), nil)
	require.Empty(t, r.problem())
}
