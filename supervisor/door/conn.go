package door

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	firstBuffer = 4 << 10  // of a connection, bytes; grows up to the limit of a head
	smallBody   = 16 << 10 // longest request body that is read whole before it is forwarded
	answerSize  = 16 << 10 // buffer for the head of an answer and what comes with it
	lookEvery   = time.Second
)

// conn reads the requests of one client's connection and forwards the simple ones. One goroutine owns it.
type conn struct {
	door     *door
	client   *client
	net.Conn // the client, or TLS on it
	in       []byte
	r, w     int // in[r:w] is read and not used
	head     requestHead
	answer   answerHead
	deadline time.Time
	view     *view // that trusted was found for
	trusted  bool
}

// scratch is what a request needs only while it is forwarded.
type scratch struct {
	in  [answerSize]byte
	out []byte
}

var scratches = sync.Pool{New: func() any { return &scratch{out: make([]byte, 0, answerSize+4<<10)} }}

func (d *door) serveConn(cl *client, over net.Conn) {
	c := &conn{door: d, client: cl, Conn: over, in: make([]byte, firstBuffer)}
	for c.serveOne() {
	}
}

// serveOne answers one request and says whether another may follow on this connection. When it says no, the connection is closed or belongs to net/http.
func (c *conn) serveOne() bool {
	n, err := c.readHead()
	var no *refusal
	if errors.As(err, &no) {
		c.refuse(no)
		return false
	}
	if err != nil {
		c.Close()
		return false
	}
	v := c.door.view.Load()
	if !c.simple(v, n) {
		c.handOver()
		return false
	}
	if err := c.fill(n + int(max(0, c.head.length))); err != nil {
		c.Close()
		return false
	}
	return c.forward(v, n)
}

// readHead waits for a whole head and returns its length; the head is at in[r:].
func (c *conn) readHead() (int, error) {
	limits := c.door.view.Load().Limits
	c.compact()
	c.client.idle.Store(c.w == 0)
	searched := 0
	for {
		if c.w > searched {
			c.client.idle.Store(false)
			n, err := headEnd(c.in[:c.w], searched)
			if err != nil {
				return 0, err
			}
			if n > 0 {
				return n, c.head.parse(c.in[:n])
			}
			if c.w >= limits.MaxHead {
				return 0, &refusal{http.StatusRequestHeaderFieldsTooLarge, "the head of the request is too large"}
			}
			if searched == 0 {
				c.allow(limits.HeadTimeout, true)
			}
			searched = c.w
		} else {
			c.allow(limits.IdleTimeout, false)
			if c.door.idleOver.Load() { // looked at last: drain may have set a deadline before ours
				return 0, io.EOF
			}
		}
		if err := c.readMore(limits.MaxHead); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && c.w > 0 {
				return 0, &refusal{http.StatusRequestTimeout, "the head of the request did not arrive in time"}
			}
			return 0, err
		}
	}
}

// compact moves what is left to the front, and lets go of a buffer that had to grow.
func (c *conn) compact() {
	rest := c.in[c.r:c.w]
	if len(c.in) > firstBuffer && len(rest) <= firstBuffer {
		c.in = make([]byte, firstBuffer)
	}
	c.w = copy(c.in, rest)
	c.r = 0
}

// allow sets when reading gives up; a deadline that is at most a second off is left alone unless exact.
func (c *conn) allow(d time.Duration, exact bool) {
	at := time.Now().Add(d)
	if off := at.Sub(c.deadline); !exact && off >= 0 && off < time.Second {
		return
	}
	c.deadline = at
	_ = c.SetReadDeadline(at) // fails only on a closed connection, as will the read
}

// readMore reads once, into a buffer of at most limit bytes.
func (c *conn) readMore(limit int) error {
	if c.w == len(c.in) {
		bigger := make([]byte, min(2*len(c.in), max(limit, len(c.in)+1)))
		copy(bigger, c.in[:c.w])
		c.in = bigger
	}
	n, err := c.Read(c.in[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	return err
}

// fill reads until in holds n bytes from r on: a head and its small body.
func (c *conn) fill(n int) error {
	if c.w-c.r >= n {
		return nil
	}
	if len(c.in) < c.r+n {
		bigger := make([]byte, c.r+n)
		c.w = copy(bigger, c.in[c.r:c.w])
		c.r = 0
		c.in = bigger
		if err := c.head.parse(c.in); err != nil { // its slices follow the buffer
			return err
		}
	}
	c.allow(c.door.view.Load().Limits.IdleTimeout, true)
	for c.w-c.r < n {
		if err := c.readMore(len(c.in)); err != nil {
			return err
		}
	}
	return nil
}

// simple says whether this goroutine can serve the request, whose head has n bytes, by itself.
func (c *conn) simple(v *view, n int) bool {
	h := &c.head
	return v.Mode == Proxy && !c.door.hold.suspect.Load() &&
		h.minor == 1 && !h.unusual && !h.chunked && h.length <= smallBody &&
		(v.Limits.MaxBody == 0 || h.length <= v.Limits.MaxBody) &&
		(v.SetupToken == "" || safeMethod(h.method)) &&
		h.atHome(v.canonical, c.client.peer, c.trusts(v)) &&
		!ownPath(h.target) && !challengePath(h.target)
}

// trusts says whether forwarded fields of this client are believed.
func (c *conn) trusts(v *view) bool {
	if c.view != v {
		c.view, c.trusted = v, v.trusts(c.client.peer.addr)
	}
	return c.trusted
}

// handOver gives the connection, with what was read of it, to net/http.
func (c *conn) handOver() {
	_ = c.SetReadDeadline(time.Time{})
	prefix := append([]byte(nil), c.in[c.r:c.w]...)
	c.door.slow.offer(&handed{Conn: c.Conn, client: c.client, prefix: prefix})
}

// refuse answers and ends the connection, in a way that lets the client read the answer.
func (c *conn) refuse(no *refusal) {
	defer c.Close()
	c.door.stats.observe(c.door.view.Load().modeIndex, no.status, 0)
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := c.Write(plainAnswer(no)); err != nil {
		return
	}
	c.linger()
}

// linger reads on for a moment: closing with unread bytes would reset the connection and take our answer away.
func (c *conn) linger() {
	if c.client.peer.tls {
		_ = c.Conn.(*tls.Conn).CloseWrite()
	} else {
		_ = c.client.CloseWrite()
	}
	_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	_, _ = io.CopyN(io.Discard, c.Conn, 256<<10)
}
