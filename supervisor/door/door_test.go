package door

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 30 * time.Second

// TestMain lets the test binary be the door's process.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_ROLE") == "door" {
		os.Exit(Main(os.NewFile(3, "control"), os.Stderr))
	}
	if role := os.Getenv("TEST_ROLE"); role != "" {
		benchRole(role, os.Getenv("TEST_BACKEND"))
	}
	os.Exit(m.Run())
}

// house is a door in this process with its control and one listener in clear.
type house struct {
	*Control
	t     *testing.T
	addr  string
	ended chan int
	terms chan os.Signal
	log   *testLog
	mine  *os.File
}

type testLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func listenerFile(t testing.TB) (string, *os.File) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	f, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	require.NoError(t, l.Close())
	t.Cleanup(func() { f.Close() })
	return l.Addr().String(), f
}

func newHouse(t *testing.T, s State, more ...Listener) *house {
	t.Helper()
	mine, theirs, err := NewPair()
	require.NoError(t, err)
	h := &house{t: t, ended: make(chan int, 1), terms: make(chan os.Signal, 1), log: &testLog{}, mine: mine}
	go func() { h.ended <- run(theirs, h.log, h.terms); theirs.Close() }()
	h.Control, err = NewControl(mine)
	require.NoError(t, err)
	var f *os.File
	h.addr, f = listenerFile(t)
	h.push(s)
	require.NoError(t, h.SetListeners(append([]Listener{{Name: "clear", File: f}}, more...)))
	h.stats() // what was sent before it is in force
	t.Cleanup(func() {
		_ = h.Drain(Drain{Deadline: time.Millisecond})
		select {
		case code := <-h.ended:
			require.Zero(t, code)
		case <-time.After(patience):
			t.Error("the door does not end")
		}
		h.Close()
		mine.Close()
		if t.Failed() {
			t.Log(h.log)
		}
	})
	return h
}

// push returns when the state is in force.
func (h *house) push(s State) {
	h.t.Helper()
	require.NoError(h.t, h.Push(s))
	h.stats()
}

func (h *house) stats() Stats {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	s, err := h.Stats(ctx)
	require.NoError(h.t, err)
	return s
}

func (h *house) eventually(what string, is func(Stats) bool) {
	h.t.Helper()
	require.Eventually(h.t, func() bool { return is(h.stats()) }, patience, 5*time.Millisecond, what)
}

// raw sends text on a connection of its own.
func (h *house) raw(text string) (net.Conn, *bufio.Reader) {
	h.t.Helper()
	c, err := net.Dial("tcp", h.addr)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { c.Close() })
	require.NoError(h.t, c.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(c, text)
	require.NoError(h.t, err)
	return c, bufio.NewReader(c)
}

func answer(t *testing.T, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	require.NoError(t, err)
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(b)
}

// do is one request with a client of its own.
func (h *house) do(method, path string, body io.Reader, header ...string) (*http.Response, string) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.addr+path, body)
	require.NoError(h.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(r)
	require.NoError(h.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(h.t, err)
	return resp, string(b)
}

// backendAt serves h at addr, or anywhere, until the test ends or it is closed.
func backendAt(t *testing.T, addr string, h http.Handler) *http.Server {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	var l net.Listener
	require.Eventually(t, func() bool {
		var err error
		l, err = net.Listen("tcp", addr)
		return err == nil
	}, patience, time.Millisecond)
	s := &http.Server{Handler: h, Addr: l.Addr().String()}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return s
}

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "hello %s %s", r.Method, r.RequestURI)
}

func proxyTo(addr string) State { return State{Mode: Proxy, Backend: addr, Ready: true} }

func TestProgressPage(t *testing.T) {
	h := newHouse(t, State{
		Mode: Progress, Product: "Demo <search>", Version: "1.2.3", Remaining: 12 * time.Second,
		Services: []Service{{Name: "frontend", State: "waiting", WaitingFor: []string{"postgres"}}, {Name: "postgres", State: "starting", Reason: "recovers <b>"}},
	})
	for _, path := range []string{"/", "/search?q=x"} {
		resp, body := h.do("GET", path, nil, "Accept", "text/html,*/*")
		require.Equal(t, 503, resp.StatusCode)
		require.NotEmpty(t, resp.Header.Get("Retry-After"))
		require.Contains(t, resp.Header.Get("Content-Type"), "text/html")
		require.Contains(t, body, "Demo &lt;search&gt; is starting")
		require.Contains(t, body, "waits for postgres")
		require.Contains(t, body, "recovers &lt;b&gt;")
		require.Contains(t, body, "About 12 seconds left")
		require.Contains(t, body, `http-equiv="refresh"`)
		require.NotContains(t, body, "{{")
		require.NotRegexp(t, `(src|href)=|url\(|https?://`, body, "the page loads nothing")
	}
	resp, body := h.do("POST", "/.api/graphql", strings.NewReader("{}"), "Accept", "application/json")
	require.Equal(t, 503, resp.StatusCode)
	require.Equal(t, "2", resp.Header.Get("Retry-After"))
	var doc struct {
		Error string
		Status
	}
	require.NoError(t, json.Unmarshal([]byte(body), &doc))
	require.Equal(t, "Demo <search> is starting", doc.Error)
	require.Equal(t, Progress, doc.Mode)
	require.Equal(t, []string{"postgres"}, doc.Services[0].WaitingFor)
}

func TestOwnPaths(t *testing.T) {
	s := State{Mode: Maintenance, Product: "P", SetupToken: "secret-token", Message: "a snapshot is taken"}
	h := newHouse(t, s)
	resp, _ := h.do("GET", "/-/appliance/healthz", nil)
	require.Equal(t, 200, resp.StatusCode)
	resp, _ = h.do("GET", "/-/appliance/readyz", nil)
	require.Equal(t, 503, resp.StatusCode)
	resp, body := h.do("GET", "/-/appliance/status", nil)
	require.Equal(t, 200, resp.StatusCode)
	require.Contains(t, body, `"mode":"maintenance"`)
	require.Contains(t, body, "a snapshot is taken")
	require.NotContains(t, body, "secret-token")
	for _, p := range []string{"/-/appliance/", "/-/appliance/metrics", "/-/appliance/../debug"} {
		c, r := h.raw("GET " + p + " HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, _ := answer(t, r, "GET")
		require.Equal(t, 404, resp.StatusCode, p)
		c.Close()
	}
	s.Ready = true
	h.push(s)
	resp, _ = h.do("GET", "/-/appliance/readyz", nil)
	require.Equal(t, 200, resp.StatusCode)
	s.BeatTimeout = time.Nanosecond
	h.push(s)
	for _, p := range []string{"healthz", "readyz"} {
		resp, _ = h.do("GET", "/-/appliance/"+p, nil)
		require.Equal(t, 503, resp.StatusCode, p)
	}
}

func TestProxyKeepsConnectionsOpen(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	h := newHouse(t, proxyTo(b.Addr))
	c, r := h.raw("")
	for i := range 3 {
		fmt.Fprintf(c, "GET /a/%d?q=%%zz HTTP/1.1\r\nHost: x\r\n\r\n", i)
		resp, body := answer(t, r, "GET")
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, fmt.Sprintf("hello GET /a/%d?q=%%zz", i), body)
		require.False(t, resp.Close)
	}
	io.WriteString(c, "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	_, body := answer(t, r, "GET")
	require.Equal(t, "hello GET /1", body)
	resp, body := answer(t, r, "GET")
	require.Equal(t, "hello GET /2", body)
	require.True(t, resp.Close)
	h.eventually("5 answers, none in flight", func(s Stats) bool { return s.Requests[Proxy][200] == 5 && s.InFlight == 0 })
}

func TestTERMDrains(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	h := newHouse(t, proxyTo(b.Addr))
	resp, _ := h.do("GET", "/", nil)
	require.Equal(t, 200, resp.StatusCode)
	h.terms <- syscall.SIGTERM
	require.Zero(t, <-h.ended)
	h.ended <- 0
}
