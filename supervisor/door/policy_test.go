package door

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSmuggling(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	h := newHouse(t, proxyTo(b.Addr))
	const start = "POST / HTTP/1.1\r\nHost: x\r\n"
	for name, tc := range map[string]struct {
		text   string
		status int
	}{
		"both lengths":           {start + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"two lengths":            {start + "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", 400},
		"same length twice":      {start + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", 400},
		"list of lengths":        {start + "Content-Length: 4, 4\r\n\r\nabcd", 400},
		"signed length":          {start + "Content-Length: +4\r\n\r\nabcd", 400},
		"negative length":        {start + "Content-Length: -4\r\n\r\nabcd", 400},
		"hexadecimal length":     {start + "Content-Length: 0x4\r\n\r\nabcd", 400},
		"empty length":           {start + "Content-Length:\r\n\r\n", 400},
		"overflowing length":     {start + "Content-Length: 99999999999999999999\r\n\r\n", 400},
		"folded header":          {start + "X: a\r\n b\r\n\r\n", 400},
		"folded encoding":        {start + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},
		"space before colon":     {start + "Content-Length : 4\r\n\r\nabcd", 400},
		"space in name":          {start + "Content Length: 4\r\n\r\nabcd", 400},
		"bare LF":                {"POST / HTTP/1.1\nHost: x\nContent-Length: 0\n\n", 400},
		"bare CR in value":       {start + "X: a\rb\r\n\r\n", 400},
		"NUL in value":           {start + "X: a\x00b\r\n\r\n", 400},
		"no colon":               {start + "nonsense\r\n\r\n", 400},
		"unknown encoding":       {start + "Transfer-Encoding: gzip\r\n\r\n", 501},
		"encoding list":          {start + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
		"obfuscated encoding":    {start + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
		"vertical tab encoding":  {start + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400},
		"two encodings":          {start + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501},
		"encoding in 1.0":        {"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		"no host":                {"GET / HTTP/1.1\r\n\r\n", 400},
		"two hosts":              {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
		"host with path":         {"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", 400},
		"host with quote":        {"GET / HTTP/1.1\r\nHost: x\"y\r\n\r\n", 400},
		"absolute to another":    {"GET http://evil/ HTTP/1.1\r\nHost: x\r\n\r\n", 421},
		"absolute with user":     {"GET http://x@evil/ HTTP/1.1\r\nHost: x\r\n\r\n", 421},
		"absolute to us":         {"GET http://x/ok HTTP/1.1\r\nHost: x\r\n\r\n", 200},
		"connect":                {"CONNECT 127.0.0.1:3090 HTTP/1.1\r\nHost: 127.0.0.1:3090\r\n\r\n", 405},
		"other scheme":           {"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		"relative":               {"GET path HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		"empty first line":       {"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		"two spaces":             {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		"tab":                    {"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		"space in target":        {"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		"fragment":               {"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		"bad escape":             {"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400},
		"HTTP/0.9":               {"GET /\r\n\r\n", 400},
		"HTTP/1.2":               {"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505},
		"HTTP/2 preface":         {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		"TLS":                    {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400},
		"many fields":            {"GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("A: b\r\n", maxFields) + "\r\n", 431},
		"large head":             {"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", 70_000) + "\r\n\r\n", 431},
		"head beyond our buffer": {"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("b", 50_000) + "\r\n\r\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			_, r := h.raw(tc.text + "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, body := answer(t, r, "GET")
			require.Equal(t, tc.status, resp.StatusCode, body)
			if tc.status == 200 {
				return
			}
			require.True(t, resp.Close)
			var f fault
			require.NoError(t, json.Unmarshal([]byte(body), &f))
			require.NotEmpty(t, f.Error)
			_, err := r.ReadByte()
			require.Error(t, err, "nothing after a refusal is read as a request")
		})
	}
}

func TestUnreadPipelineIsNeverAnsweredForAnother(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.URL.Path, b)
	}))
	h := newHouse(t, proxyTo(b.Addr))
	_, r := h.raw("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: x\r\n\r\nPOST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n")
	for _, want := range []string{"/1 abc", "/2 ", "/3 z"} {
		_, body := answer(t, r, "GET")
		require.Equal(t, want, body)
	}
}

// echoHead answers with the header it got.
func echoHead(w http.ResponseWriter, r *http.Request) {
	r.Header.Set("Host", r.Host)
	_ = json.NewEncoder(w).Encode(r.Header)
}

func TestForwardedHeaders(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(echoHead))
	sent := "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nX-FORWARDED-PROTO: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Real-IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n" +
		"Proxy-Authorization: Basic x\r\nKeep-Alive: 1\r\nProxy-Connection: close\r\nX-Kept: yes\r\nCookie: a=b\r\n"
	untrusted := map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "public:80", "X-Forwarded-Port": "", "X-Real-Ip": "127.0.0.1",
		"Forwarded": `for=127.0.0.1;host="public:80";proto=http`, "Host": "public:80",
		"Proxy-Authorization": "", "Keep-Alive": "", "Proxy-Connection": "", "X-Kept": "yes", "Cookie": "a=b",
	}
	trusted := map[string]string{
		"X-Forwarded-For": "6.6.6.6, 7.7.7.7, 127.0.0.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil", "X-Forwarded-Port": "1", "X-Real-Ip": "6.6.6.6",
		"Forwarded": `for=6.6.6.6, for=127.0.0.1;host="public:80";proto=http`, "Host": "public:80", "Proxy-Authorization": "", "X-Kept": "yes",
	}
	for who, want := range map[string]map[string]string{"": untrusted, "10.0.0.0/8": untrusted, "127.0.0.0/8": trusted, "127.0.0.1": trusted} {
		s := proxyTo(b.Addr)
		if who != "" {
			s.TrustedProxies = []string{who}
		}
		h := newHouse(t, s)
		for path, extra := range map[string]string{"fast": "", "handed over": "TE: trailers\r\n", "nominated": "Connection: X-Secret\r\nX-Secret: 1\r\n"} {
			t.Run(who+" "+path, func(t *testing.T) {
				_, r := h.raw("GET / HTTP/1.1\r\nHost: public:80\r\n" + sent + extra + "\r\n")
				resp, body := answer(t, r, "GET")
				require.Equal(t, 200, resp.StatusCode)
				var got http.Header
				require.NoError(t, json.Unmarshal([]byte(body), &got))
				for name, value := range want {
					require.Equal(t, value, strings.Join(got[name], "|"), name)
				}
				require.Empty(t, got["X-Secret"])
			})
		}
	}
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	s := proxyTo(b.Addr)
	s.Limits.HeadTimeout = 50 * time.Millisecond
	h := newHouse(t, s)
	_, r := h.raw("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	resp, _ := answer(t, r, "GET")
	require.Equal(t, 408, resp.StatusCode)
	s.Limits.IdleTimeout = 50 * time.Millisecond
	h.push(s)
	_, r = h.raw("")
	_, err := r.ReadByte()
	require.ErrorIs(t, err, io.EOF, "an idle connection is closed without an answer")
	_, r = h.raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
	_, err = io.ReadAll(r)
	require.NoError(t, err, "a small body that does not come")
	h.eventually("nothing is left open", func(s Stats) bool { return s.Connections == 0 })
}

func TestBodyBeyondLimit(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	s := proxyTo(b.Addr)
	s.Limits.MaxBody = 10
	h := newHouse(t, s)
	for text, want := range map[string]int{
		"Content-Length: 10\r\n\r\n0123456789":                                 200,
		"Content-Length: 11\r\n\r\n01234567890":                                413,
		"Transfer-Encoding: chunked\r\n\r\n" + "b\r\n01234567890\r\n0\r\n\r\n": 413,
	} {
		_, r := h.raw("POST / HTTP/1.1\r\nHost: x\r\n" + text)
		resp, _ := answer(t, r, "POST")
		require.Equal(t, want, resp.StatusCode, text)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	s := proxyTo(b.Addr)
	s.Limits.Connections = 2
	h := newHouse(t, s)
	one, _ := h.raw("")
	h.raw("")
	h.eventually("both are open", func(s Stats) bool { return s.Connections == 2 })
	_, r := h.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, body := answer(t, r, "GET")
	require.Equal(t, 503, resp.StatusCode)
	require.NotEmpty(t, resp.Header.Get("Retry-After"))
	require.Contains(t, body, "too many connections")
	require.EqualValues(t, 1, h.stats().Refused)
	one.Close()
	h.eventually("one is closed", func(s Stats) bool { return s.Connections == 1 })
	resp, _ = h.do("GET", "/", nil)
	require.Equal(t, 200, resp.StatusCode)
}

func TestSetupNeedsToken(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	s := proxyTo(b.Addr)
	s.SetupToken = "one-time"
	h := newHouse(t, s)
	for _, path := range []string{"/-/site-init", "/-/site%2dinit", "//-/site-init", "/x/../-/site-init", "/-/Site-Init/", "/-/sign-up", "http://x/-/site-init"} {
		_, r := h.raw("POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		resp, body := answer(t, r, "POST")
		require.Equal(t, 403, resp.StatusCode, path)
		require.Contains(t, body, "sourcegraph status")
	}
	for _, header := range [][]string{{"X-Appliance-Setup", "wrong"}, {"Cookie", "appliance_setup=wrong"}, {"X-Appliance-Setup", ""}} {
		resp, _ := h.do("POST", "/-/site-init", nil, header...)
		require.Equal(t, 403, resp.StatusCode)
	}
	resp, body := h.do("GET", "/-/appliance/setup?token=wrong", nil, "Accept", "text/html")
	require.Equal(t, 403, resp.StatusCode)
	require.Contains(t, body, "sourcegraph status")
	resp, _ = h.do("GET", "/-/appliance/setup?token=one-time", nil)
	require.Equal(t, 303, resp.StatusCode)
	require.Equal(t, "/", resp.Header.Get("Location"))
	cookie := resp.Cookies()[0]
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteLaxMode, cookie.SameSite)
	for _, header := range [][]string{{"Cookie", cookie.Name + "=" + cookie.Value}, {"X-Appliance-Setup", "one-time"}} {
		resp, _ := h.do("POST", "/-/site-init", nil, header...)
		require.Equal(t, 200, resp.StatusCode)
	}
	resp, _ = h.do("POST", "/.api/graphql", strings.NewReader("{}"))
	require.Equal(t, 200, resp.StatusCode, "only making the first user is guarded")
	s.SetupToken = ""
	h.push(s)
	resp, _ = h.do("POST", "/-/site-init", nil)
	require.Equal(t, 200, resp.StatusCode)
	resp, _ = h.do("GET", "/-/appliance/setup?token=", nil)
	require.Equal(t, 303, resp.StatusCode)
	require.Empty(t, resp.Cookies())
}

func TestSetupIsDoneOnceTheBackendMadeTheAdministrator(t *testing.T) {
	code := make(chan int, 1)
	b := backendAt(t, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if status := <-code; status != 0 {
			w.WriteHeader(status)
		}
	}))
	s := proxyTo(b.Addr)
	h := newHouse(t, s)
	post := func(path string, status int, header ...string) {
		t.Helper()
		code <- status
		resp, _ := h.do("POST", path, strings.NewReader("{}"), header...)
		require.Equal(t, max(status, 200), resp.StatusCode)
	}
	post("/-/site-init", 200)
	require.False(t, h.stats().SetupDone, "no token was needed")
	s.SetupToken = "one-time"
	h.push(s)
	with := []string{"X-Appliance-Setup", "one-time"}
	resp, _ := h.do("POST", "/-/site-init", nil)
	require.Equal(t, 403, resp.StatusCode)
	post("/-/site-init", 400, with...)
	post("/-/site-init", 503, with...)
	post("/.api/graphql", 200, with...)
	require.False(t, h.stats().SetupDone, "nobody was made")
	post("/-/site-init", 0, with...)
	h.eventually("an answer without a body counts as well", func(st Stats) bool { return st.SetupDone })
}

func TestE26NoDescriptorLeft(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	d := newDoor(io.Discard)
	own := &listener{name: "test", TCPListener: l.(*net.TCPListener)}
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	spare := d.answerWithSpare(own, spareDescriptor()) // what accept does on EMFILE
	require.NotNil(t, spare)
	defer spare.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	resp, _ := answer(t, bufio.NewReader(c), "GET")
	require.Equal(t, 503, resp.StatusCode)
}

func TestStateFaultsAreAllNamed(t *testing.T) {
	err := State{Mode: "open", Backend: "frontend", TrustedProxies: []string{"10.0.0.0/99", "10.0.0.1"}, Redirect: true, Limits: Limits{HoldFor: -1}}.Validate()
	for _, part := range []string{`mode "open"`, `backend "frontend"`, `"10.0.0.0/99"`, "external URL", "negative"} {
		require.ErrorContains(t, err, part)
	}
	require.ErrorContains(t, State{Mode: Proxy}.Validate(), "needs a backend")
}
