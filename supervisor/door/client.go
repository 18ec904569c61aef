package door

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unackedFor is how long a client may leave bytes of ours unacknowledged, or its window closed, before the kernel ends the connection.
const unackedFor = 2 * time.Minute

// client is one accepted connection. Whoever serves it, Close takes it off the books.
type client struct {
	*net.TCPConn
	raw  syscall.RawConn
	peer peer
	idle atomic.Bool // between two requests
	once sync.Once
	off  func(*client)
}

func newClient(t *net.TCPConn, tls bool, off func(*client)) (*client, error) {
	raw, err := t.SyscallConn()
	if err != nil {
		return nil, err
	}
	_ = raw.Control(func(fd uintptr) { // worth having, not worth refusing for
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unackedFor/time.Millisecond))
	})
	return &client{TCPConn: t, raw: raw, peer: newPeer(t.RemoteAddr(), tls), off: off}, nil
}

func (c *client) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(func() { c.off(c) })
	return err
}

// handed is a connection on its way to net/http: the bytes that were read already come first.
type handed struct {
	net.Conn // the client, or TLS on it
	client   *client
	prefix   []byte
}

func (h *handed) Read(p []byte) (int, error) {
	if len(h.prefix) > 0 {
		n := copy(p, h.prefix)
		h.prefix = h.prefix[n:]
		return n, nil
	}
	return h.Conn.Read(p)
}

// CloseWrite lets an upgraded connection end one direction first.
func (h *handed) CloseWrite() error {
	if w, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// clientOf finds the client under a connection that net/http serves.
func clientOf(c net.Conn) *client {
	switch c := c.(type) {
	case *handed:
		return c.client
	case *tls.Conn:
		return clientOf(c.NetConn())
	case *client:
		return c
	}
	return nil
}
