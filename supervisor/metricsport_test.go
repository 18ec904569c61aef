package supervisor

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func newPort(t *testing.T) (*metricsPort, func()) {
	t.Helper()
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "figures") })
	p := newMetricsPort(h, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	stop := func() {
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	}
	return p, stop
}

// freeAddress is one that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func fetch(t *testing.T, method, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(b)
}

func TestMetricsPortServesOnePathAndMoves(t *testing.T) {
	p, stop := newPort(t)
	first, second := freeAddress(t), freeAddress(t)
	require.NoError(t, p.move(""), "nobody wants it")
	require.NoError(t, p.move(first))
	require.NoError(t, p.move(first), "a reload that changes nothing")
	code, body := fetch(t, "GET", "http://"+first+"/metrics")
	require.Equal(t, 200, code)
	require.Equal(t, "figures", body)
	for _, path := range []string{"/", "/v1/status", "/metrics/", "/debug/pprof/"} {
		code, _ = fetch(t, "GET", "http://"+first+path)
		require.Equal(t, 404, code, path)
	}
	code, _ = fetch(t, "POST", "http://"+first+"/metrics")
	require.Equal(t, 405, code)

	require.NoError(t, p.move(second))
	code, _ = fetch(t, "GET", "http://"+second+"/metrics")
	require.Equal(t, 200, code)
	_, err := net.Dial("tcp", first)
	require.Error(t, err, "the old address is closed")
	stop()
	_, err = net.Dial("tcp", second)
	require.Error(t, err)
}

func TestMetricsPortThatIsTakenIsSaidAndTriedAgain(t *testing.T) {
	p, stop := newPort(t)
	defer stop()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	err = p.move(taken.Addr().String())
	require.ErrorContains(t, err, "metrics.listen "+taken.Addr().String())
	var hint interface{ Hint() string }
	require.ErrorAs(t, err, &hint)
	require.Contains(t, hint.Hint(), "metrics.listen")
	p.again()
	require.True(t, p.missing())
	require.NoError(t, taken.Close())
	p.again()
	require.False(t, p.missing())
	code, _ := fetch(t, "GET", "http://"+taken.Addr().String()+"/metrics")
	require.Equal(t, 200, code)
}

func TestMetricsPortTakesFewConnections(t *testing.T) {
	p, stop := newPort(t)
	defer stop()
	address := freeAddress(t)
	require.NoError(t, p.move(address))
	var open []net.Conn
	for range scraperConns {
		c, err := net.Dial("tcp", address)
		require.NoError(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		_, err = io.ReadAtLeast(c, make([]byte, 4096), 20)
		require.NoError(t, err)
		open = append(open, c)
	}
	one, err := net.Dial("tcp", address)
	require.NoError(t, err, "the kernel lets it wait")
	defer one.Close()
	_, err = io.WriteString(one, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	require.NoError(t, one.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err = one.Read(make([]byte, 1))
	require.Error(t, err, "it is not answered while the others are open")
	require.NoError(t, open[0].Close())
	require.NoError(t, one.SetReadDeadline(time.Now().Add(30*time.Second)))
	_, err = one.Read(make([]byte, 1))
	require.NoError(t, err)
}
