package door

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rawBackend answers each connection with serve; the returned address is listened on until the test ends.
func rawBackend(t *testing.T, serve func(net.Conn, *bufio.Reader)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c, bufio.NewReader(c))
			}()
		}
	}()
	return l.Addr().String()
}

// fixed answers every request with text, then closes.
func fixed(text string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			io.WriteString(c, text)
		}
	}
}

func TestEventsAreFlushedAtOnce(t *testing.T) {
	next := make(chan string)
	gone := make(chan struct{})
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		for {
			select {
			case s := <-next:
				fmt.Fprintf(w, "data: %s\n\n", s)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				close(gone)
				return
			}
		}
	}))
	for path, extra := range map[string]string{"fast": "", "handed over": "TE: trailers\r\n"} {
		t.Run(path, func(t *testing.T) {
			gone = make(chan struct{})
			h := newHouse(t, proxyTo(b.Addr))
			c, r := h.raw("GET /.api/search/stream HTTP/1.1\r\nHost: x\r\n" + extra + "\r\n")
			resp, err := http.ReadResponse(r, nil)
			require.NoError(t, err)
			events := bufio.NewReader(resp.Body)
			for i := range 3 {
				next <- strconv.Itoa(i) // the next one is sent only when this one has come through
				line, err := events.ReadString('\n')
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("data: %d\n", i), line)
				_, err = events.ReadString('\n')
				require.NoError(t, err)
			}
			c.Close()
			select {
			case <-gone:
			case <-time.After(patience):
				t.Fatal("the backend does not learn that the client has gone")
			}
		})
	}
}

func TestClientGoneCancelsRequest(t *testing.T) {
	came, gone := make(chan struct{}, 1), make(chan struct{}, 1)
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	}))
	secure, f := listenerFile(t)
	s := proxyTo(b.Addr)
	s.TLS = newPair(t, "x")
	h := newHouse(t, s, Listener{Name: "tls", File: f, TLS: true})
	for name, dial := range map[string]func() (net.Conn, error){
		"clear": func() (net.Conn, error) { return net.Dial("tcp", h.addr) },
		"TLS":   func() (net.Conn, error) { return tls.Dial("tcp", secure, &tls.Config{InsecureSkipVerify: true}) },
	} {
		c, err := dial()
		require.NoError(t, err)
		_, err = io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		<-came
		c.Close()
		select {
		case <-gone:
		case <-time.After(patience):
			t.Fatalf("the backend does not learn that the client has gone (%s)", name)
		}
	}
	h.eventually("both are counted", func(s Stats) bool { return s.Requests[Proxy][statusClientGone] == 2 })
}

func TestWebSocketUpgrade(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" {
			http.Error(w, "no upgrade", 400)
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		io.Copy(c, rw)
	}))
	h := newHouse(t, proxyTo(b.Addr))
	c, r := h.raw("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\nSec-WebSocket-Version: 13\r\n\r\n")
	resp, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.Equal(t, 101, resp.StatusCode)
	require.Equal(t, "websocket", resp.Header.Get("Upgrade"))
	for i := range 3 {
		frame := bytes.Repeat([]byte{byte(i)}, 1000)
		_, err = c.Write(frame)
		require.NoError(t, err)
		got := make([]byte, len(frame))
		_, err = io.ReadFull(r, got)
		require.NoError(t, err)
		require.Equal(t, frame, got)
	}
	require.EqualValues(t, 1, h.stats().InFlight)
	c.Close()
	h.eventually("the upgraded connection ends", func(s Stats) bool { return s.InFlight == 0 && s.Connections == 0 && s.Requests[Proxy][101] == 1 })
}

func TestBodiesBothWays(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		if err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
		w.Header().Set("X-Trailer", r.Trailer.Get("X-Note"))
		fmt.Fprintf(w, "%d bytes", n)
		w.(http.Flusher).Flush()
		w.Header().Set("X-Sum", fmt.Sprintf("%x", sum.Sum(nil)))
	}))
	h := newHouse(t, proxyTo(b.Addr))
	for _, size := range []int{0, 1, 5000, smallBody, smallBody + 1, 300_000} {
		body := bytes.Repeat([]byte("x"), size)
		want := fmt.Sprintf("%x", sha256.Sum256(body))
		for name, send := range map[string]string{
			"length":    fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, body),
			"expect":    fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n%s", size, body),
			"chunked":   fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n", chunk(body)),
			"trailered": fmt.Sprintf("TE: trailers\r\nTrailer: X-Note\r\nTransfer-Encoding: chunked\r\n\r\n%s0\r\nX-Note: end\r\n\r\n", chunk(body)),
		} {
			t.Run(fmt.Sprintf("%d %s", size, name), func(t *testing.T) {
				_, r := h.raw("POST /up HTTP/1.1\r\nHost: x\r\n" + send)
				resp, got := answer(t, r, "POST")
				if resp.StatusCode == 100 {
					resp, got = answer(t, r, "POST")
				}
				require.Equal(t, 200, resp.StatusCode, got)
				require.Equal(t, fmt.Sprintf("%d bytes", size), got)
				require.Equal(t, want, resp.Trailer.Get("X-Sum"))
				if name == "trailered" {
					require.Equal(t, "end", resp.Header.Get("X-Trailer"))
				}
			})
		}
	}
}

func chunk(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return fmt.Sprintf("%x\r\n%s\r\n", len(b), b)
}

func TestContinueIsAskedForBeforeTheBody(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(417)
			return
		}
		io.Copy(w, r.Body)
	}))
	h := newHouse(t, proxyTo(b.Addr))
	c, r := h.raw("PUT /yes HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	line, err := r.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 100 Continue\r\n", line)
	_, err = r.ReadString('\n')
	require.NoError(t, err)
	io.WriteString(c, "hello")
	_, body := answer(t, r, "PUT")
	require.Equal(t, "hello", body)
	_, r = h.raw("PUT /no HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	resp, _ := answer(t, r, "PUT")
	require.Equal(t, 417, resp.StatusCode)
}

func TestAnswersOfEveryShape(t *testing.T) {
	for name, tc := range map[string]struct {
		method, answer string
		status         int
		body           string
		closes, cut    bool
	}{
		"length":            {answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", status: 200, body: "ab"},
		"chunked":           {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\na\r\n1\r\nb\r\n0\r\n\r\n", status: 200, body: "ab"},
		"until close":       {answer: "HTTP/1.1 200 OK\r\n\r\nab", status: 200, body: "ab", closes: true},
		"HTTP/1.0":          {answer: "HTTP/1.0 200 OK\r\n\r\nab", status: 200, body: "ab", closes: true},
		"no reason":         {answer: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", status: 200},
		"204":               {answer: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
		"304":               {answer: "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", status: 304},
		"HEAD":              {method: "HEAD", answer: "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", status: 200},
		"interim":           {answer: "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", status: 200, body: "ab"},
		"both lengths":      {answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nab", status: 502, closes: true},
		"two lengths":       {answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab", status: 502, closes: true},
		"bare LF":           {answer: "HTTP/1.1 200 OK\nContent-Length: 2\n\nab", status: 502, closes: true},
		"not HTTP":          {answer: "SSH-2.0-OpenSSH\r\n\r\n", status: 502, closes: true},
		"unasked upgrade":   {answer: "HTTP/1.1 101 Switching Protocols\r\n\r\n", status: 502, closes: true},
		"head without end":  {answer: "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", answerSize) + "\r\n\r\n", status: 502, closes: true},
		"cut length":        {answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", status: 200, cut: true},
		"cut chunks":        {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", status: 200, cut: true},
		"malformed chunks":  {answer: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab", status: 502, closes: true},
		"more than length":  {answer: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", status: 200, body: "a"},
		"connection fields": {answer: "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: secret\r\nKeep-Alive: 1\r\nContent-Length: 0\r\n\r\n", status: 200},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, proxyTo(rawBackend(t, fixed(tc.answer))))
			method := tc.method
			if method == "" {
				method = "GET"
			}
			_, r := h.raw(method + " / HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(r, &http.Request{Method: method})
			require.NoError(t, err)
			require.Equal(t, tc.status, resp.StatusCode)
			body, err := io.ReadAll(resp.Body)
			if tc.cut {
				require.ErrorIs(t, err, io.ErrUnexpectedEOF, "a cut answer must not look whole")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.closes, resp.Close)
			require.Empty(t, resp.Header.Get("X-Hop")+resp.Header.Get("Keep-Alive"))
			if tc.status == 200 {
				require.Equal(t, tc.body, string(body))
			}
		})
	}
}

func TestHTTP10Client(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		io.WriteString(w, "b")
	}))
	h := newHouse(t, proxyTo(b.Addr))
	_, r := h.raw("GET / HTTP/1.0\r\n\r\n")
	all, err := io.ReadAll(r)
	require.NoError(t, err)
	head, body, _ := strings.Cut(string(all), "\r\n\r\n")
	require.NotContains(t, head, "chunked")
	require.Equal(t, "ab", body, "no chunks for a client that does not know them")
}

// doorProcess is the door as it really runs, for what a test cannot see from inside.
func doorProcess(t testing.TB, s State) (*exec.Cmd, *Control, string) {
	mine, theirs, err := NewPair()
	require.NoError(t, err)
	t.Cleanup(func() { mine.Close() })
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_ROLE=door", "GOGC=50")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	theirs.Close()
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	c, err := NewControl(mine)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	addr, f := listenerFile(t)
	require.NoError(t, c.Push(s))
	require.NoError(t, c.SetListeners([]Listener{{Name: "clear", File: f}}))
	_, err = c.Stats(t.Context())
	require.NoError(t, err)
	return cmd, c, addr
}

// anonymous is how much memory of its own a process has now, bytes.
func anonymous(t testing.TB, pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Skipf("the kernel does not tell a process' memory: %v", err)
	}
	_, rest, ok := strings.Cut(string(b), "Anonymous:")
	require.True(t, ok)
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	require.NoError(t, err)
	return kib << 10
}

func Test150MBStreamsBothWays(t *testing.T) {
	const size = 150 << 20
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			io.CopyN(w, zeros{}, size)
			return
		}
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d %v", n, err)
	}))
	cmd, _, addr := doorProcess(t, proxyTo(b.Addr))
	for name, body := range map[string]io.Reader{"length": sized{io.LimitReader(zeros{}, size)}, "chunked": io.LimitReader(zeros{}, size)} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+addr+"/"+name, body)
		require.NoError(t, err)
		if name == "length" {
			r.ContentLength = size
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%d <nil>", size), string(got))
	}
	resp, err := http.Get("http://" + addr + "/")
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	require.Less(t, anonymous(t, cmd.Process.Pid), int64(32<<20), "bodies are streamed, not kept")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait(), "TERM drains and ends with 0")
}

type sized struct{ io.Reader }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
