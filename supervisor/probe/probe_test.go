package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

// patience bounds every wait for somebody else on a slow machine.
const patience = 30 * time.Second

// server answers every connection with serve.
func server(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// says reads a request, answers text and closes.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, text)
	}
}

func at(address string) Target { return Target{Addresses: map[string]string{"http": address}} }

func do(t *testing.T, p services.Probe, target Target) Result {
	t.Helper()
	if p.Port == "" {
		p.Port = "http"
	}
	if p.Timeout == 0 {
		p.Timeout = patience
	}
	r := Prober{}.Do(t.Context(), p, target)
	require.Equal(t, r.OK, r.Err == nil)
	return r
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

func TestHTTP(t *testing.T) {
	for name, tc := range map[string]struct {
		answer, want string // want: the detail after the URL; empty: OK
	}{
		"200":              {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ""},
		"204 bare":         {"HTTP/1.0 204\n", ""},
		"no reason phrase": {"HTTP/1.1 200\r\n\r\n", ""},
		"503 and why":      {"HTTP/1.1 503 Service Unavailable\r\nX: y\r\n\r\nno database\nyet\x1b[31m\n" + strings.Repeat("é", 200), ": 503 no database yet?[31m " + strings.Repeat("é", 89)},
		"302":              {"HTTP/1.1 302 Found\r\nLocation: /sign-in\r\n\r\n", ": 302 "},
		"404 no body":      {"HTTP/1.1 404 Not Found\r\n", ": 404 "},
		"not HTTP":         {"SSH-2.0-OpenSSH_9.2\r\n", ": not HTTP: SSH-2.0-OpenSSH_9.2"},
		"odd code":         {"HTTP/1.1 2xx OK\r\n", ": not HTTP: HTTP/1.1 2xx OK"},
		"nothing":          {"", ": closed without an answer"},
		"half a line":      {"HTTP/1.1 200", ": closed in the middle of an answer: HTTP/1.1 200"},
		"endless line":     {strings.Repeat("x", 3*maxHead), ": more than 8192 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			address := server(t, says(tc.answer))
			r := do(t, services.Probe{HTTP: "/healthz"}, at(address))
			require.Equal(t, "GET http://"+address+"/healthz"+tc.want, r.Detail)
			require.Equal(t, tc.want == "", r.OK)
		})
	}
}

func TestHTTPRequest(t *testing.T) {
	got := make(chan string, 1)
	address := server(t, func(c net.Conn) {
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		got <- string(b[:n])
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
	})
	require.True(t, do(t, services.Probe{HTTP: "/a?b=c"}, at(address)).OK)
	require.Equal(t, "GET /a?b=c HTTP/1.1\r\nHost: "+address+"\r\nUser-Agent: "+userAgent+"\r\nAccept: */*\r\nConnection: close\r\n\r\n", <-got)
}

func TestTCP(t *testing.T) {
	require.True(t, do(t, services.Probe{TCP: true}, at(server(t, func(net.Conn) {}))).OK)
	address := closedPort(t)
	r := do(t, services.Probe{TCP: true}, at(address))
	require.Equal(t, "connect "+address+": connection refused", r.Detail)
}

// E37: a server that sends a byte at a time, or none, is silent; the deadline holds for the whole probe, and cancelling ends it at once.
func TestE37HangingCheck(t *testing.T) {
	end := make(chan struct{})
	defer close(end)
	silent := server(t, func(net.Conn) { <-end })
	trickle := server(t, func(c net.Conn) {
		for {
			select {
			case <-end:
				return
			case <-time.After(5 * time.Millisecond):
				if _, err := io.WriteString(c, "H"); err != nil {
					return
				}
			}
		}
	})
	for _, address := range []string{silent, trickle} {
		for _, p := range []services.Probe{{HTTP: "/"}, {Postgres: true}, {Redis: true}} {
			p.Timeout = 50 * time.Millisecond
			r := do(t, p, at(address))
			require.False(t, r.OK)
			if address == trickle && p.Postgres {
				require.Contains(t, r.Detail, "not PostgreSQL: H")
				continue
			}
			require.Contains(t, r.Detail, "no answer within 50ms")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	r := Prober{}.Do(ctx, services.Probe{HTTP: "/", Port: "http", Timeout: time.Hour}, at(silent))
	require.ErrorIs(t, context.Cause(ctx), context.Canceled)
	require.Contains(t, r.Detail, ": cancelled")
}

// E38: an exec probe is run by who can kill its tree, under the probe's deadline.
func TestE38ExecProbe(t *testing.T) {
	var argv []string
	target := Target{Exec: func(ctx context.Context, words []string) error {
		argv = words
		return nil
	}}
	require.True(t, do(t, services.Probe{Exec: []string{"check", "it"}}, target).OK)
	require.Equal(t, []string{"check", "it"}, argv)

	target.Exec = func(context.Context, []string) error { return errors.New("exit 1: replication lags") }
	require.Equal(t, `exec ["check"]: exit 1: replication lags`, do(t, services.Probe{Exec: []string{"check"}}, target).Detail)

	target.Exec = func(ctx context.Context, _ []string) error { <-ctx.Done(); return ctx.Err() }
	r := do(t, services.Probe{Exec: []string{"check"}, Timeout: time.Millisecond}, target)
	require.Equal(t, `exec ["check"]: no answer within 1ms`, r.Detail)
	require.ErrorIs(t, r.Err, context.DeadlineExceeded)

	require.Contains(t, do(t, services.Probe{Exec: []string{"check"}}, Target{}).Detail, "no way to run a command")
}

func TestWhatCannotBeAsked(t *testing.T) {
	require.Equal(t, `probe: port "http" has no address`, do(t, services.Probe{TCP: true}, Target{}).Detail)
	require.Contains(t, do(t, services.Probe{Notify: true}, at("127.0.0.1:1")).Detail, "come by themselves")
}

// BenchmarkHTTP includes the server's side: an accept, a read and a write.
func BenchmarkHTTP(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer l.Close()
	go func() {
		buf := make([]byte, 4096)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(buf)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			_ = c.Close()
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		r := Prober{}.Do(b.Context(), services.Probe{HTTP: "/healthz", Port: "http", Timeout: patience}, at(l.Addr().String()))
		require.NoError(b, r.Err)
	}
}
