package door

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// secure is a house that also speaks TLS at the second address.
func secure(t *testing.T, s State) (*house, string) {
	t.Helper()
	addr, f := listenerFile(t)
	s.TLS = newPair(t, "code.example.com")
	return newHouse(t, s, Listener{Name: "tls", File: f, TLS: true}), addr
}

// ask sends one request as it stands and returns the status, with where it is sent or what is said.
func ask(t *testing.T, conn io.ReadWriteCloser, text string) (int, string) {
	t.Helper()
	defer conn.Close()
	_, err := io.WriteString(conn, text+"Connection: close\r\n\r\n")
	require.NoError(t, err)
	b, err := io.ReadAll(conn)
	require.NoError(t, err)
	var minor, status int
	_, err = fmt.Sscanf(string(b), "HTTP/1.%d %d", &minor, &status)
	require.NoError(t, err, "%s", b)
	for line := range strings.Lines(string(b)) {
		if to, ok := strings.CutPrefix(line, "Location: "); ok {
			return status, strings.TrimSpace(to)
		}
	}
	return status, string(b)
}

func TestOneAddress(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	s := proxyTo(b.Addr)
	s.ExternalURL, s.Redirect = "https://code.example.com", true
	h, tlsAddr := secure(t, s)
	for name, tc := range map[string]struct {
		tls    bool
		text   string
		status int
		says   string
	}{
		"clear":                      {false, "GET /a?b=%2f HTTP/1.1\r\nHost: code.example.com\r\n", 308, "https://code.example.com/a?b=%2f"},
		"clear, HEAD":                {false, "HEAD /a HTTP/1.1\r\nHost: code.example.com\r\n", 308, "https://code.example.com/a"},
		"clear, by address":          {false, "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n", 308, "https://code.example.com/"},
		"clear, HTTP/1.0":            {false, "GET / HTTP/1.0\r\n", 308, "https://code.example.com/"},
		"clear, two slashes":         {false, "GET //evil.example.com/ HTTP/1.1\r\nHost: x\r\n", 308, "https://code.example.com//evil.example.com/"},
		"clear, POST":                {false, "POST /sign-in HTTP/1.1\r\nHost: code.example.com\r\nContent-Length: 0\r\n", 403, "send them to https://code.example.com"},
		"clear, our own page":        {false, "GET /-/appliance/healthz HTTP/1.1\r\nHost: x\r\n", 200, "the supervisor lives"},
		"clear, a challenge":         {false, "GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: code.example.com\r\n", 200, "hello GET"},
		"clear, an untrusted proxy":  {false, "GET / HTTP/1.1\r\nHost: code.example.com\r\nX-Forwarded-Proto: https\r\n", 421, "add 127.0.0.1 to trusted_proxies"},
		"TLS":                        {true, "GET /a HTTP/1.1\r\nHost: code.example.com\r\n", 200, "hello GET /a"},
		"TLS, other case":            {true, "GET /a HTTP/1.1\r\nHost: Code.Example.COM\r\n", 200, "hello GET /a"},
		"TLS, with its port":         {true, "GET /a HTTP/1.1\r\nHost: code.example.com:443\r\n", 200, "hello GET /a"},
		"TLS, another port":          {true, "GET /a HTTP/1.1\r\nHost: code.example.com:8443\r\n", 308, "https://code.example.com/a"},
		"TLS, another name":          {true, "GET /a HTTP/1.1\r\nHost: old.example.com\r\n", 308, "https://code.example.com/a"},
		"TLS, another name, POST":    {true, "POST /a HTTP/1.1\r\nHost: old.example.com\r\nContent-Length: 0\r\n", 200, "hello POST /a"},
		"TLS, forged forwarded host": {true, "GET /a HTTP/1.1\r\nHost: code.example.com\r\nX-Forwarded-Host: x\r\nX-Forwarded-Proto: http\r\n", 200, "hello GET /a"},
		"TLS, our own, another name": {true, "GET /-/appliance/healthz HTTP/1.1\r\nHost: old.example.com\r\n", 200, "the supervisor lives"},
		"TLS, a large body, POST":    {true, "POST /a HTTP/1.1\r\nHost: code.example.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", 200, "hello POST /a"},
	} {
		t.Run(name, func(t *testing.T) {
			var conn io.ReadWriteCloser
			if tc.tls {
				c, err := tls.Dial("tcp", tlsAddr, &tls.Config{InsecureSkipVerify: true})
				require.NoError(t, err)
				conn = c
			} else {
				c, _ := h.raw("")
				conn = c
			}
			if strings.Contains(tc.text, "chunked") {
				tc.text = strings.Replace(tc.text, "Transfer", "Connection: close\r\nTransfer", 1)
			}
			status, says := ask(t, conn, tc.text)
			require.Equal(t, tc.status, status, says)
			require.Contains(t, says, tc.says)
		})
	}
}

// A proxy that we trust speaks for its client; what it does not say is taken to be right, since its own connection proves nothing.
func TestOneAddressBehindAProxy(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	s := proxyTo(b.Addr)
	s.ExternalURL, s.Redirect, s.TrustedProxies = "https://code.example.com:8443", true, []string{"127.0.0.1"}
	h := newHouse(t, s)
	for name, tc := range map[string]struct {
		fields string
		status int
	}{
		"says nothing":          {"Host: backend\r\n", 200},
		"https":                 {"Host: backend\r\nX-Forwarded-Proto: https\r\n", 200},
		"https first":           {"Host: backend\r\nX-Forwarded-Proto: https , http\r\n", 200},
		"http":                  {"Host: backend\r\nX-Forwarded-Proto: http\r\n", 308},
		"the right host":        {"Host: backend\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: code.example.com:8443\r\n", 200},
		"another host":          {"Host: backend\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: old.example.com\r\n", 308},
		"host without the port": {"Host: backend\r\nX-Forwarded-Host: code.example.com\r\n", 308},
	} {
		for path, extra := range map[string]string{"fast": "", "handed over": "TE: trailers\r\n"} {
			t.Run(name+", "+path, func(t *testing.T) {
				c, _ := h.raw("")
				status, says := ask(t, c, "GET /a HTTP/1.1\r\n"+tc.fields+extra)
				require.Equal(t, tc.status, status, says)
				if status == 308 {
					require.Equal(t, "https://code.example.com:8443/a", says)
				}
			})
		}
	}
}

func TestOneAddressInClear(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	s := proxyTo(b.Addr)
	s.ExternalURL, s.Redirect = "http://code.example.com:80/", true
	h := newHouse(t, s)
	c, _ := h.raw("")
	status, _ := ask(t, c, "GET /a HTTP/1.1\r\nHost: code.example.com\r\n")
	require.Equal(t, 200, status)
	c, _ = h.raw("")
	status, to := ask(t, c, "GET /a HTTP/1.1\r\nHost: localhost\r\n")
	require.Equal(t, 308, status)
	require.Equal(t, "http://code.example.com/a", to)
	resp, _ := h.do("GET", "/", nil)
	require.Equal(t, redirectFor, resp.Header.Get("Cache-Control"), "a wrong url must not be remembered for ever")
}

// Until there is a certificate nobody is sent to a dead end, and the product is not served in clear either.
func TestNoCertificateYet(t *testing.T) {
	b := backendAt(t, "", http.HandlerFunc(hello))
	s := proxyTo(b.Addr)
	s.ExternalURL, s.Redirect = "https://code.example.com", true
	s.TLS = TLS{Cert: "nonsense", Key: "nonsense"}
	addr, f := listenerFile(t)
	h := newHouse(t, s, Listener{Name: "tls", File: f, TLS: true})
	resp, body := h.do("GET", "/", nil, "Accept", "text/html")
	require.Equal(t, 503, resp.StatusCode)
	require.Contains(t, body, "certificate for https://code.example.com is not there yet")
	resp, _ = h.do("POST", "/", strings.NewReader("x"))
	require.Equal(t, 503, resp.StatusCode)
	_, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	require.Error(t, err, "no made-up certificate: people would learn to click warnings away")
	require.NotEmpty(t, h.stats().TLSError)
	require.Nil(t, h.stats().Certificate)
}

func TestClearOnAPortForTLSIsTold(t *testing.T) {
	h, addr := secure(t, State{Mode: Progress})
	h.addr = addr
	_, r := h.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, body := answer(t, r, "GET")
	require.Equal(t, 400, resp.StatusCode)
	require.Contains(t, body, "write https:// before the address")
}
