package door

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStateOutlivesStage1(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	h := newHouse(t, proxyTo(b.Addr))
	require.NoError(t, h.Control.Close()) // stage 1 dies; stage 0 still holds the file
	require.ErrorIs(t, h.Beat(), ErrGone)
	_, err := h.Stats(t.Context())
	require.ErrorIs(t, err, ErrGone)
	resp, _ := h.do("GET", "/", nil)
	require.Equal(t, 200, resp.StatusCode)
	h.Control, err = NewControl(h.mine) // the next stage 1
	require.NoError(t, err)
	require.EqualValues(t, 1, h.stats().Requests[Proxy][200])
	require.NoError(t, h.Beat())
}

func TestDoorEndsWithTheLastSupervisor(t *testing.T) {
	h := newHouse(t, State{Mode: Progress})
	require.NoError(t, h.Control.Close())
	require.NoError(t, h.mine.Close())
	select {
	case code := <-h.ended:
		require.Zero(t, code)
		h.ended <- code
	case <-time.After(patience):
		t.Fatal("the door lives on without anyone to end it")
	}
}

func TestControlSurvivesAnyBytes(t *testing.T) {
	h := newHouse(t, State{Mode: Progress, Product: "kept"})
	u, err := packetConn(h.mine)
	require.NoError(t, err)
	defer u.Close()
	for _, b := range [][]byte{{0}, []byte("{"), []byte(`{"state":{"mode":"nonsense"}}`), []byte(`{"listeners":[{"name":"x"}],"set":true}`), bytes.Repeat([]byte("x"), maxMessage+1), []byte(`{"later":1}`)} {
		_, err := u.Write(b)
		require.NoError(t, err)
	}
	_, body := h.do("GET", "/-/appliance/status", nil)
	require.Contains(t, body, "kept")
	require.Len(t, h.stats().Listeners, 1)
	require.Contains(t, h.log.String(), "nonsense")
}

func TestPushNeverBlocks(t *testing.T) {
	mine, theirs, err := NewPair() // nobody reads
	require.NoError(t, err)
	defer mine.Close()
	defer theirs.Close()
	c, err := NewControl(mine)
	require.NoError(t, err)
	defer c.Close()
	s := State{Mode: Maintenance, Message: string(bytes.Repeat([]byte("x"), 30_000))}
	for range 1000 {
		require.NoError(t, c.Push(s))
		require.NoError(t, c.Beat())
	}
	s.Product = "the latest"
	require.NoError(t, c.Push(s))
	u, err := packetConn(theirs)
	require.NoError(t, err)
	defer u.Close()
	require.NoError(t, u.SetDeadline(time.Now().Add(patience)))
	read := 0
	for buf := make([]byte, maxMessage); ; read++ {
		m, _, err := receive(u, buf)
		require.NoError(t, err)
		if m.State != nil && m.State.Product == "the latest" {
			break
		}
	}
	require.Less(t, read, 100, "what was not sent in time is replaced")
	s.Message = string(bytes.Repeat([]byte("x"), maxMessage))
	require.ErrorContains(t, c.Push(s), "65536")
}

func TestListenersAreASet(t *testing.T) {
	h := newHouse(t, State{Mode: Progress})
	addr, f := listenerFile(t)
	_, first := listenerFile(t)
	require.NoError(t, h.SetListeners([]Listener{{Name: "clear", File: first}, {Name: "second", File: f}}))
	require.Equal(t, addr, h.stats().Listeners["second"])
	require.NoError(t, h.SetListeners([]Listener{{Name: "second", File: f}}))
	require.Equal(t, map[string]string{"second": addr}, h.stats().Listeners)
	h.addr = addr
	resp, _ := h.do("GET", "/-/appliance/healthz", nil)
	require.Equal(t, 200, resp.StatusCode)
}

func TestNewDoorTakesOverWithoutAFailure(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	addr, f := listenerFile(t)
	var old *Control
	l := (*load)(nil)
	for range 3 {
		cmd, c, _ := doorProcess(t, proxyTo(b.Addr))
		require.NoError(t, c.SetListeners([]Listener{{Name: "clear", File: f}}))
		_, err := c.Stats(t.Context())
		require.NoError(t, err)
		if old != nil {
			require.NoError(t, old.Drain(Drain{Deadline: patience, Idle: 2 * time.Second}))
			<-old.Gone()
		} else {
			l = startLoad(addr, 4, "POST")
		}
		l.waitForMore(t, 50)
		old = c
		_ = cmd
	}
	l.end(t)
}

func TestKilledDoorIsReplaced(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	addr, f := listenerFile(t)
	cmd, c, _ := doorProcess(t, proxyTo(b.Addr))
	require.NoError(t, c.SetListeners([]Listener{{Name: "clear", File: f}}))
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	<-c.Gone()
	conn, err := net.Dial("tcp", addr) // waits in the socket's queue for the next door
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
	require.NoError(t, err)
	_, c, _ = doorProcess(t, proxyTo(b.Addr))
	require.NoError(t, c.SetListeners([]Listener{{Name: "clear", File: f}}))
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(all), "hello GET /")
}

func TestDrainCutsAtTheDeadline(t *testing.T) {
	came := make(chan struct{})
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { close(came); <-r.Context().Done() }))
	h := newHouse(t, proxyTo(b.Addr))
	_, r := h.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-came
	require.NoError(t, h.Drain(Drain{Deadline: 50 * time.Millisecond}))
	_, err := r.ReadByte()
	require.Error(t, err)
	require.Zero(t, <-h.ended)
	h.ended <- 0
	require.Contains(t, h.log.String(), "cutting 1 connections")
}

func TestDrainFinishesRequests(t *testing.T) {
	came, answerNow := make(chan struct{}), make(chan struct{})
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(came)
		<-answerNow
		io.WriteString(w, "done")
	}))
	h := newHouse(t, proxyTo(b.Addr))
	_, r := h.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	h.raw("") // idle: must not keep the door
	<-came
	require.NoError(t, h.Drain(Drain{Deadline: patience}))
	h.eventually("the idle one is closed", func(s Stats) bool { return s.Draining && s.Connections == 1 })
	close(answerNow)
	resp, body := answer(t, r, "GET")
	require.Equal(t, "done", body)
	require.True(t, resp.Close)
	require.Zero(t, <-h.ended)
	h.ended <- 0
}

// newPair makes a self-signed certificate for name.
func newPair(t *testing.T, name string) TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}}, &key.PublicKey, key)
	require.NoError(t, err)
	k, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return TLS{
		Cert: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Key:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k})),
	}
}

func tlsClient(h2 bool) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: h2}
	return &http.Client{Transport: tr, Timeout: patience}
}

func TestTLSBothProtocols(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Got", r.Header.Get("X-Forwarded-Proto"))
		w.Header().Set("Content-Length", "100000")
		w.Write(make([]byte, 100_000))
		_ = n
	}))
	addr, f := listenerFile(t)
	s := proxyTo(b.Addr)
	s.TLS = newPair(t, "first")
	h := newHouse(t, s, Listener{Name: "tls", File: f, TLS: true})
	for major, client := range map[int]*http.Client{1: tlsClient(false), 2: tlsClient(true)} {
		for range 2 {
			resp, err := client.Post("https://"+addr+"/", "text/plain", io.LimitReader(zeros{}, 300_000))
			require.NoError(t, err)
			n, err := io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.EqualValues(t, 100_000, n)
			require.Equal(t, major, resp.ProtoMajor)
			require.Equal(t, "https", resp.Header.Get("X-Got"))
			resp, err = client.Get("https://" + addr + "/")
			require.NoError(t, err)
			n, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.EqualValues(t, 100_000, n)
			require.NoError(t, resp.Body.Close())
		}
		client.CloseIdleConnections()
	}
	h.eventually("connections end", func(s Stats) bool { return s.Connections == 0 })
	// the strict parser is in front of TLS, too
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
	require.NoError(t, err)
	all, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Contains(t, string(all), "HTTP/1.1 400 ")
}

func TestCertificateIsReplaced(t *testing.T) {
	addr, f := listenerFile(t)
	s := State{Mode: Progress, TLS: newPair(t, "first")}
	h := newHouse(t, s, Listener{Name: "tls", File: f, TLS: true})
	served := func() string {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	require.Equal(t, "first", served())
	require.Equal(t, []string{"first"}, h.stats().Certificate.Names)
	s.TLS.Cert = "half written"
	h.push(s)
	require.Contains(t, h.stats().TLSError, "use the given certificate")
	require.Equal(t, "first", served(), "the previous one stays in use")
	s.TLS = newPair(t, "second")
	h.push(s)
	require.Equal(t, "second", served())
	require.Empty(t, h.stats().TLSError)
	require.Equal(t, []string{"second"}, h.stats().Certificate.Names)
}

func TestStatsAnswersInTimeOrSaysSo(t *testing.T) {
	mine, theirs, err := NewPair()
	require.NoError(t, err)
	defer mine.Close()
	defer theirs.Close()
	c, err := NewControl(mine)
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err = c.Stats(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}
