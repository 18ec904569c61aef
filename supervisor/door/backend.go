package door

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dialTimeout = 5 * time.Second
	maxIdle     = 64               // connections kept open to the backend by each of its two users
	idleFor     = 30 * time.Second // below the idle timeout of servers we know, so that we close first
)

// backend is the frontend's address with the connections to it.
type backend struct {
	address       string
	answerTimeout time.Duration
	dialer        net.Dialer
	keep          *http.Transport // for what may be sent twice
	fresh         *http.Transport // a connection for each request: one that was refused was certainly not sent

	mu   sync.Mutex
	idle []*upstream // last used at the end
}

func newBackend(address string, answerTimeout time.Duration) *backend {
	b := &backend{address: address, answerTimeout: answerTimeout, dialer: net.Dialer{Timeout: dialTimeout}}
	b.keep = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return b.dialer.DialContext(ctx, "tcp", address)
		},
		DisableCompression:    true, // the client's own wish is passed on
		MaxIdleConnsPerHost:   maxIdle,
		IdleConnTimeout:       idleFor,
		ResponseHeaderTimeout: answerTimeout,
		ExpectContinueTimeout: 5 * time.Second,
		WriteBufferSize:       32 << 10,
		ReadBufferSize:        32 << 10,
	}
	b.fresh = b.keep.Clone()
	b.fresh.DisableKeepAlives = true
	return b
}

// upstream is one connection to the backend.
type upstream struct {
	*net.TCPConn
	raw      syscall.RawConn
	used     time.Time
	deadline time.Time
	reused   bool
}

// take gives an idle connection, or dials.
func (b *backend) take() (*upstream, error) {
	if u := b.takeIdle(); u != nil {
		return u, nil
	}
	return b.dial()
}

func (b *backend) takeIdle() *upstream {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.idle)
	if n == 0 {
		return nil
	}
	u := b.idle[n-1]
	b.idle = b.idle[:n-1]
	u.reused = true
	return u
}

func (b *backend) dial() (*upstream, error) {
	c, err := b.dialer.Dial("tcp", b.address)
	if err != nil {
		return nil, err
	}
	t := c.(*net.TCPConn)
	raw, err := t.SyscallConn()
	if err != nil {
		t.Close()
		return nil, err
	}
	return &upstream{TCPConn: t, raw: raw}, nil
}

// give returns a connection whose answer was read to its end.
func (b *backend) give(u *upstream, now time.Time) {
	u.used = now
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.idle) == maxIdle {
		u.Close()
		return
	}
	b.idle = append(b.idle, u)
}

// prune closes connections that were idle for longer than d.
func (b *backend) prune(now time.Time, d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	keep := b.idle[:0]
	for _, u := range b.idle {
		if now.Sub(u.used) > d {
			u.Close()
			continue
		}
		keep = append(keep, u)
	}
	clear(b.idle[len(keep):])
	b.idle = keep
}

// retire closes what is idle; what is in use ends with its request.
func (b *backend) retire() {
	b.prune(time.Now(), -1)
	b.keep.CloseIdleConnections()
	b.fresh.CloseIdleConnections()
}

// openStill looks, without waiting, whether the other side has closed, or sent what nobody asked for.
func openStill(raw syscall.RawConn) bool {
	open := true
	var one [1]byte
	err := raw.Control(func(fd uintptr) {
		_, _, e := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		open = errors.Is(e, unix.EAGAIN)
	})
	return open && err == nil
}

// goneAway says whether a client has closed. It asks for the connection's state, since unread bytes, such as TLS' farewell, may stand before the end.
func goneAway(raw syscall.RawConn) bool {
	gone := false
	err := raw.Control(func(fd uintptr) {
		info, e := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		gone = e == nil && info.State != unix.BPF_TCP_ESTABLISHED
	})
	return gone || err != nil
}
