package door

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzHead holds that whatever our parser accepts, net/http reads in the same way.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /a%20b?q=%zz HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 3\r\n\r\nabc", "GET http://x/y HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\nConnection: a, close\r\n\r\n0\r\n\r\n", "OPTIONS * HTTP/1.0\r\n\r\n", "GET //a/../b HTTP/1.1\r\nhOST:\tx \r\nX:\r\n\r\n",
		"GET /\\\"<>^`{|} HTTP/1.1\r\nHost: x\r\nX: \x80\xff\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.1\r\nHost: x\r\n a: b\r\n\r\n", "GET /;a=b HTTP/1.1\r\nHost: x%41\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		n, err := headEnd(in, 0)
		if err != nil || n == 0 {
			return
		}
		var h requestHead
		if h.parse(in[:n]) != nil {
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in)))
		require.NoError(t, err, "%q", in[:n])
		require.Equal(t, r.Method, string(h.method))
		require.Equal(t, r.RequestURI, string(h.target))
		require.Equal(t, r.ProtoMinor, h.minor)
		if h.target[0] == '/' || len(h.host) > 0 {
			require.True(t, strings.EqualFold(r.Host, string(h.host)), "%q %q", r.Host, h.host)
		}
		require.Equal(t, len(r.TransferEncoding) > 0, h.chunked)
		switch {
		case h.length >= 0:
			require.Equal(t, h.length, r.ContentLength)
		case !h.chunked:
			require.Zero(t, r.ContentLength)
		}
		got := http.Header{}
		for _, f := range h.fields {
			if f.kind != hostField && f.kind != encodingField {
				got.Add(string(f.name), string(f.value))
			}
		}
		for name := range got {
			if http.CanonicalHeaderKey(name) != "Trailer" {
				require.Equal(t, r.Header[name], got[name], name)
			}
		}
		if h.minor == 1 && !h.unusual && !h.chunked {
			forwardsTheSame(t, &h, r)
		}
	})
}

// forwardsTheSame reads again what we would send: the backend must see the same request.
func forwardsTheSame(t *testing.T, h *requestHead, r *http.Request) {
	again, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(h.append(nil, peer{}, false))))
	require.NoError(t, err)
	require.Equal(t, r.Method, again.Method)
	require.Equal(t, r.RequestURI, again.RequestURI)
	require.Equal(t, r.Host, again.Host)
	require.Equal(t, r.ContentLength, again.ContentLength)
	require.Empty(t, again.TransferEncoding)
}

// FuzzChunks holds that the scanner finds the end where the reader of net/http does, in pieces of any size.
func FuzzChunks(f *testing.F) {
	for _, s := range []string{"0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\nrest", "a;x=y\r\n0123456789\r\n0\r\nX: y\r\n\r\n", "ff", "1\r\nab\r\n", "0\r\nX: y\r\n", "00\r\n\r\n", "1 \r\na\r\n0\r\n\r\n"} {
		f.Add([]byte(s), uint8(1))
		f.Add([]byte(s), uint8(100))
	}
	f.Fuzz(func(t *testing.T, in []byte, piece uint8) {
		var c chunks
		at := 0
		for at < len(in) && !c.ended {
			end := min(len(in), at+int(piece)+1)
			n, err := c.scan(in[at:end])
			if err != nil {
				return
			}
			if at += n; !c.ended && at != end {
				t.Fatalf("stopped at %d before the end", at)
			}
		}
		if !c.ended {
			return
		}
		r := bufio.NewReader(bytes.NewReader(in[:at]))
		_, err := io.Copy(io.Discard, httputil.NewChunkedReader(r))
		require.NoError(t, err, "%q", in[:at])
	})
}

func TestForwardingDoesNotAllocate(t *testing.T) {
	in := []byte("GET /search?q=x HTTP/1.1\r\nHost: code.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: text/html\r\nAccept-Encoding: gzip\r\nConnection: keep-alive\r\nCookie: sgs=abc\r\n\r\n")
	h := requestHead{fields: make([]field, 0, 16)}
	out := make([]byte, 0, 4096)
	n := testing.AllocsPerRun(100, func() {
		end, err := headEnd(in, 0)
		if err != nil || h.parse(in[:end]) != nil {
			t.Fatal("not read")
		}
		out = h.append(out[:0], peer{}, false)
	})
	require.Zero(t, n, "reading and forwarding a head makes no garbage")
}
