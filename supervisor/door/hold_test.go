package door

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// load asks for path again and again with n clients, each on a connection that is kept, and counts what does not answer 200.
type load struct {
	stop        chan struct{}
	done        sync.WaitGroup
	good        atomic.Int64
	bad         atomic.Int64
	badExamples chan string
}

func startLoad(addr string, n int, method string) *load {
	l := &load{stop: make(chan struct{}), badExamples: make(chan string, 10)}
	for range n {
		l.done.Go(func() {
			client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				l.one(client, method, addr)
			}
		})
	}
	return l
}

func (l *load) one(client *http.Client, method, addr string) {
	var body io.Reader
	if method == "POST" {
		body = struct{ io.Reader }{strings.NewReader("query")} // of unknown length, so that the client cannot send it again by itself
	}
	r, _ := http.NewRequest(method, "http://"+addr+"/", body)
	if body != nil {
		r.ContentLength = 5
	}
	resp, err := client.Do(r)
	what := ""
	if err != nil {
		what = err.Error()
	} else {
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || err != nil {
			what = resp.Status + " " + string(b)
		}
	}
	if what == "" {
		l.good.Add(1)
		return
	}
	l.bad.Add(1)
	select {
	case l.badExamples <- what:
	default:
	}
}

func (l *load) end(t *testing.T) {
	close(l.stop)
	l.done.Wait()
	close(l.badExamples)
	for e := range l.badExamples {
		t.Log(e)
	}
	require.Zero(t, l.bad.Load(), "failed of %d", l.good.Load())
}

func (l *load) waitForMore(t *testing.T, n int64) {
	t.Helper()
	from := l.good.Load()
	require.Eventually(t, func() bool { return l.good.Load() >= from+n }, patience, time.Millisecond)
}

func TestNoRequestFailsWhileBackendRestarts(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	h := newHouse(t, proxyTo(b.Addr))
	l := startLoad(h.addr, 8, "GET")
	for range 3 {
		l.waitForMore(t, 50)
		require.NoError(t, b.Close()) // as when it is killed: connections are cut, the port is closed
		h.eventually("requests are held", func(s Stats) bool { return s.Held > 0 })
		_, body := h.do("GET", "/-/appliance/status", nil)
		require.Contains(t, body, `"mode":"hold"`)
		b = backendAt(t, b.Addr, http.HandlerFunc(hello))
	}
	l.waitForMore(t, 50)
	l.end(t)
	s := h.stats()
	require.NotZero(t, s.HeldTotal)
	require.Zero(t, s.HeldRefused)
}

func TestOrderedRestartLosesNoPOST(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	s := proxyTo(b.Addr)
	h := newHouse(t, s)
	l := startLoad(h.addr, 8, "POST")
	for range 3 {
		l.waitForMore(t, 50)
		s.Mode = Hold
		h.push(s)
		h.eventually("all wait", func(s Stats) bool { return s.Held == 8 && s.InFlight == 8 })
		require.NoError(t, b.Close())
		b = backendAt(t, b.Addr, http.HandlerFunc(hello))
		s.Mode = Proxy
		h.push(s)
	}
	l.waitForMore(t, 50)
	l.end(t)
}

func TestHoldMovesToAnotherBackend(t *testing.T) {
	old, green := backendAt(t, "", http.NotFoundHandler()), backendAt(t, "", http.HandlerFunc(hello))
	s := proxyTo(old.Addr)
	s.Mode = Hold
	h := newHouse(t, s)
	_, r := h.raw("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na")
	h.eventually("it waits", func(s Stats) bool { return s.Held == 1 })
	s.Mode, s.Backend = Proxy, green.Addr
	h.push(s)
	resp, _ := answer(t, r, "POST")
	require.Equal(t, 200, resp.StatusCode)
}

func TestHoldIsBounded(t *testing.T) {
	s := State{Mode: Hold, Backend: "127.0.0.1:1", Limits: Limits{HoldRequests: 2, HoldFor: patience}}
	h := newHouse(t, s)
	held := make([]*bufio.Reader, 2)
	for i := range held {
		_, held[i] = h.raw("GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	h.eventually("two wait", func(s Stats) bool { return s.Held == 2 })
	resp, _ := h.do("GET", "/third", nil, "Accept", "text/html")
	require.Equal(t, 503, resp.StatusCode)
	require.NotEmpty(t, resp.Header.Get("Retry-After"))
	s.Mode = Maintenance // what waits learns that waiting is over
	h.push(s)
	for _, r := range held {
		resp, _ := answer(t, r, "GET")
		require.Equal(t, 503, resp.StatusCode)
	}
	s.Mode, s.Limits = Hold, Limits{HoldBytes: heldCost + 10_000}
	h.push(s)
	resp, _ = h.do("GET", "/large", nil, "X-Large", strings.Repeat("x", 11_000))
	require.Equal(t, 503, resp.StatusCode)
	s.Limits = Limits{HoldFor: 20 * time.Millisecond}
	h.push(s)
	resp, _ = h.do("GET", "/late", nil)
	require.Equal(t, 503, resp.StatusCode)
	require.NotZero(t, h.stats().HeldRefused)
	require.Zero(t, h.stats().Held)
}

func TestDeadBackendIsNotWaitedForForEver(t *testing.T) {
	addr, f := listenerFile(t)
	f.Close() // nobody listens there
	s := proxyTo(addr)
	s.Limits.HoldFor = 50 * time.Millisecond
	h := newHouse(t, s)
	for range 2 {
		resp, body := h.do("GET", "/", nil, "Accept", "text/html")
		require.Equal(t, 503, resp.StatusCode)
		require.Contains(t, body, "comes back by itself")
		require.NotEmpty(t, resp.Header.Get("Retry-After"))
	}
	_, body := h.do("GET", "/-/appliance/status", nil)
	require.Contains(t, body, `"mode":"hold"`)
	back := backendAt(t, addr, http.HandlerFunc(hello))
	_, body = h.do("GET", "/-/appliance/status", nil)
	require.Contains(t, body, `"mode":"proxy"`, "the page that asks turns by itself, though no request waits")
	require.NoError(t, back.Close())
	s.Limits.HoldFor = time.Hour
	h.push(s)
	_, r := h.raw("GET /waits HTTP/1.1\r\nHost: x\r\n\r\n")
	h.eventually("it waits", func(s Stats) bool { return s.Held == 1 })
	backendAt(t, addr, http.HandlerFunc(hello))
	resp, _ := answer(t, r, "GET")
	require.Equal(t, 200, resp.StatusCode)
}

func TestNothingIsSentTwiceThatMustNot(t *testing.T) {
	for method, want := range map[string]int64{"POST": 1, "GET": 1 + 1 + resends} {
		t.Run(method, func(t *testing.T) {
			var came atomic.Int64
			addr := rawBackend(t, func(c net.Conn, r *bufio.Reader) { // it dies of every request
				if req, err := http.ReadRequest(r); err == nil {
					io.Copy(io.Discard, req.Body)
					came.Add(1)
				}
			})
			h := newHouse(t, proxyTo(addr))
			body := ""
			if method == "POST" {
				body = "Content-Length: 1\r\n\r\nx"
			} else {
				body = "\r\n"
			}
			_, r := h.raw(method + " / HTTP/1.1\r\nHost: x\r\n" + body)
			resp, _ := answer(t, r, method)
			require.Equal(t, 502, resp.StatusCode)
			require.Equal(t, want, came.Load())
		})
	}
}

func TestSilentBackendIsATimeout(t *testing.T) {
	addr := rawBackend(t, func(c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	s := proxyTo(addr)
	s.Limits.AnswerTimeout = 10 * time.Millisecond
	h := newHouse(t, s)
	for _, extra := range []string{"", "TE: trailers\r\n"} {
		_, r := h.raw("GET / HTTP/1.1\r\nHost: x\r\n" + extra + "\r\n")
		resp, _ := answer(t, r, "GET")
		require.Equal(t, 504, resp.StatusCode)
	}
}

func TestIdleBackendConnectionThatWasClosedIsNoFailure(t *testing.T) {
	addr := rawBackend(t, func(c net.Conn, r *bufio.Reader) { // says it stays open, and closes
		if _, err := http.ReadRequest(r); err == nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	h := newHouse(t, proxyTo(addr))
	c, r := h.raw("")
	for range 20 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, body := answer(t, r, "GET")
		require.Equal(t, 200, resp.StatusCode)
		require.Equal(t, "ok", body)
		if resp.Close { // also honest: handed over
			c, r = h.raw("")
		}
	}
}
