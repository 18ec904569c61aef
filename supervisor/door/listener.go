package door

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// listener accepts for the door. The socket itself belongs to stage 0: closing our copy leaves it listening for the next door.
type listener struct {
	name string
	tls  bool
	node uint64 // of the socket: tells the same one sent again from another
	*net.TCPListener
	done chan struct{}
}

func newListener(name string, tls bool, f *os.File) (*listener, error) {
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, fmt.Errorf("look at listener %s: %w", name, err)
	}
	if err := unix.SetNonblock(int(f.Fd()), true); err != nil {
		return nil, fmt.Errorf("prepare listener %s: %w", name, err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take listener %s: %w", name, err)
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("take listener %s: %s is not TCP", name, l.Addr().Network())
	}
	return &listener{name: name, tls: tls, node: st.Ino, TCPListener: t, done: make(chan struct{})}, nil
}

// accept runs until the listener is closed.
func (d *door) accept(l *listener) {
	defer close(l.done)
	spare := spareDescriptor()
	defer func() { spare.Close() }()
	for pause := time.Duration(0); ; {
		t, err := l.AcceptTCP()
		switch {
		case err == nil:
			pause = 0
			d.admit(t, l)
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			d.releaseIdle()
			spare = d.answerWithSpare(l, spare)
			fallthrough
		default:
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			d.log.Printf("accept on %s %s: %v; next try in %s", l.name, l.Addr(), err, pause)
			time.Sleep(pause)
		}
	}
}

// spareDescriptor is kept to have one to answer with when there is none left (E26).
func spareDescriptor() *os.File {
	f, _ := os.Open(os.DevNull)
	return f // nil can be closed, too
}

func (d *door) answerWithSpare(l *listener, spare *os.File) *os.File {
	if spare == nil {
		return spareDescriptor()
	}
	spare.Close()
	_ = l.SetDeadline(time.Now().Add(10 * time.Millisecond))
	if t, err := l.AcceptTCP(); err == nil {
		d.turnAway(t)
	}
	_ = l.SetDeadline(time.Time{})
	return spareDescriptor()
}

// admit serves a connection, if there is room for it.
func (d *door) admit(t *net.TCPConn, l *listener) {
	c, err := newClient(t, l.tls, d.open.remove)
	if err != nil {
		t.Close()
		return
	}
	if !d.open.add(c, d.view.Load().Limits.Connections) {
		d.turnAway(t)
		return
	}
	d.admitted.Add(1)
	if l.tls {
		go d.serveTLS(c)
		return
	}
	go d.serveConn(c, c)
}

// turnAway says why, as far as that is possible without waiting.
func (d *door) turnAway(t *net.TCPConn) {
	d.stats.refused.Add(1)
	_ = t.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	_, _ = t.Write(plainAnswer(&refusal{503, "too many connections are open; try again"}))
	_ = t.CloseWrite()
	go func() { // a reset would take the answer away
		_ = t.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		_, _ = t.Read(make([]byte, 4<<10))
		t.Close()
	}()
}

// serveTLS shakes hands, then goes the way of the protocol agreed on.
func (d *door) serveTLS(c *client) {
	t := tls.Server(c, d.tlsConfig)
	_ = c.SetDeadline(time.Now().Add(d.view.Load().Limits.HeadTimeout))
	if err := t.Handshake(); err != nil {
		d.explainTLS(c, err)
		c.Close()
		return
	}
	if isChallenge(t) {
		t.Close()
		return
	}
	_ = c.SetDeadline(time.Time{})
	if t.ConnectionState().NegotiatedProtocol == "h2" {
		d.h2.offer(t)
		return
	}
	d.serveConn(c, t)
}

// explainTLS tells a client that speaks in clear on a port for TLS where it is.
func (d *door) explainTLS(c *client, err error) {
	var clear tls.RecordHeaderError
	if !errors.As(err, &clear) || clear.Conn == nil {
		return
	}
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.Write(plainAnswer(&refusal{http.StatusBadRequest, "this port speaks TLS; write https:// before the address"}))
}

// books lists the open connections.
type books struct {
	mu      sync.Mutex
	clients map[*client]struct{}
	empty   chan struct{} // closed when draining and none is left
	ending  bool
}

func newBooks() *books { return &books{clients: map[*client]struct{}{}, empty: make(chan struct{})} }

func (b *books) add(c *client, limit int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.clients) >= limit {
		return false
	}
	b.clients[c] = struct{}{}
	return true
}

func (b *books) remove(c *client) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.clients[c]; !there {
		return
	}
	delete(b.clients, c)
	b.lookLocked()
}

func (b *books) lookLocked() {
	if b.ending && len(b.clients) == 0 {
		close(b.empty)
		b.ending = false
	}
}

// end closes empty once no connection is open. No connection may be added after it.
func (b *books) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ending = true
	b.lookLocked()
}

func (b *books) each(do func(*client)) {
	b.mu.Lock()
	all := make([]*client, 0, len(b.clients))
	for c := range b.clients {
		all = append(all, c)
	}
	b.mu.Unlock()
	for _, c := range all {
		do(c)
	}
}

func (b *books) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.clients)
}
