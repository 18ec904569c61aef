package door

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Listener is a listening TCP socket for the door.
type Listener struct {
	Name string
	File *os.File // stays the caller's
	TLS  bool
}

// NewPair makes the control socket. Stage 1 keeps the first, and stores a copy at stage 0; the second becomes the door's.
func NewPair() (stage1, door *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make the front door's control socket: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "door-control"), os.NewFile(uintptr(fds[1]), "door"), nil
}

// ErrGone is wrapped by every method of a Control whose door has ended.
var ErrGone = errors.New("the front door is gone")

// Control is stage 1's side. No method but Stats waits: what the door is too busy to take is replaced by what comes later.
type Control struct {
	conn *net.UnixConn
	work chan struct{} // something is pending
	gone chan struct{} // closed when the socket is

	mu        sync.Mutex
	state     []byte
	listeners *outgoing
	asks      []string
	drain     []byte
	beat      bool
	waiting   map[string]chan Stats
	asked     int
	closed    bool
}

// outgoing is a packet with descriptors, which are ours.
type outgoing struct {
	body []byte
	fds  []int
}

func (o *outgoing) close() {
	if o == nil {
		return
	}
	for _, fd := range o.fds {
		_ = unix.Close(fd)
	}
}

// NewControl talks through stage 1's end, which stays the caller's and may be closed.
func NewControl(stage1 *os.File) (*Control, error) {
	u, err := packetConn(stage1)
	if err != nil {
		return nil, err
	}
	c := &Control{conn: u, work: make(chan struct{}, 1), gone: make(chan struct{}), waiting: map[string]chan Stats{}}
	go c.write()
	go c.read()
	return c, nil
}

// Push makes s the door's State. The error names every fault of s, or that it is longer than 64 KiB.
func (c *Control) Push(s State) error {
	if err := s.Validate(); err != nil {
		return err
	}
	b, err := message{State: &s}.encode()
	if err != nil {
		return err
	}
	return c.put(func() { c.state = b })
}

// Beat tells the door that stage 1 lives; Push does so too. Every 10 s is often enough.
func (c *Control) Beat() error { return c.put(func() { c.beat = true }) }

// Drain ends the door: it stops accepting, finishes requests and exits 0.
func (c *Control) Drain(how Drain) error {
	b, err := message{Drain: &how}.encode()
	if err != nil {
		return err
	}
	return c.put(func() { c.drain = b })
}

// SetListeners makes the door listen on exactly these. A socket that it has already is kept open, connections of one that is left out live on.
func (c *Control) SetListeners(ls []Listener) error {
	if len(ls) > maxListeners {
		return fmt.Errorf("give the front door listeners: %d are more than %d", len(ls), maxListeners)
	}
	m := message{Set: true}
	o := &outgoing{}
	for _, l := range ls {
		fd, err := unix.FcntlInt(l.File.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			o.close()
			return fmt.Errorf("give the front door listener %s: %w", l.Name, err)
		}
		o.fds = append(o.fds, fd)
		m.Listeners = append(m.Listeners, listenerMeta{l.Name, l.TLS})
	}
	var err error
	if o.body, err = m.encode(); err != nil {
		o.close()
		return err
	}
	err = c.put(func() { c.listeners.close(); c.listeners = o })
	if err != nil {
		o.close()
	}
	return err
}

// Stats asks the door what it counted, until ctx is done.
func (c *Control) Stats(ctx context.Context) (Stats, error) {
	answer := make(chan Stats, 1)
	var name string
	err := c.put(func() {
		c.asked++
		name = strconv.Itoa(os.Getpid()) + "." + strconv.FormatInt(time.Now().UnixNano(), 36) + "." + strconv.Itoa(c.asked)
		c.waiting[name] = answer
		c.asks = append(c.asks, name)
	})
	if err != nil {
		return Stats{}, err
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, name)
	}()
	select {
	case s := <-answer:
		return s, nil
	case <-c.gone:
		return Stats{}, fmt.Errorf("ask the front door for its figures: %w", ErrGone)
	case <-ctx.Done():
		return Stats{}, fmt.Errorf("ask the front door for its figures: %w", context.Cause(ctx))
	}
}

// Close ends the conversation, not the door. What is pending may be lost.
func (c *Control) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	close(c.gone)
	c.listeners.close()
	c.listeners = nil
	return c.conn.Close()
}

// Gone is closed when the door has ended, or after Close.
func (c *Control) Gone() <-chan struct{} { return c.gone }

// put changes what is pending and wakes the writer.
func (c *Control) put(change func()) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrGone
	}
	change()
	select {
	case c.work <- struct{}{}:
	default:
	}
	return nil
}

// write sends what is pending, one packet after the other.
func (c *Control) write() {
	for {
		select {
		case <-c.work:
		case <-c.gone:
			return
		}
		for o := c.next(); o != nil; o = c.next() {
			var oob []byte
			if len(o.fds) > 0 {
				oob = unix.UnixRights(o.fds...)
			}
			_, _, err := c.conn.WriteMsgUnix(o.body, oob, nil)
			o.close()
			if err != nil {
				c.Close()
				return
			}
		}
	}
}

// next takes the most urgent packet: who to serve, then what to say, then whether we live.
func (c *Control) next() *outgoing {
	c.mu.Lock()
	defer c.mu.Unlock()
	var o *outgoing
	switch {
	case c.state != nil:
		o, c.state, c.beat = &outgoing{body: c.state}, nil, false
	case c.listeners != nil:
		o, c.listeners = c.listeners, nil
	case len(c.asks) > 0:
		b, err := message{Ask: c.asks[0]}.encode()
		if err != nil {
			b = []byte("{}")
		}
		o, c.asks = &outgoing{body: b}, c.asks[1:]
	case c.drain != nil:
		o, c.drain = &outgoing{body: c.drain}, nil
	case c.beat:
		o, c.beat = &outgoing{body: []byte("{}")}, false
	}
	return o
}

// read hands answers to who asked; those to a supervisor before us are dropped.
func (c *Control) read() {
	buf := make([]byte, maxMessage)
	for {
		m, files, err := receive(c.conn, buf)
		for _, f := range files {
			f.Close()
		}
		if errors.Is(err, errMessage) {
			continue
		}
		if err != nil {
			c.Close()
			return
		}
		c.mu.Lock()
		answer := c.waiting[m.Ask]
		c.mu.Unlock()
		if m.Stats != nil && answer != nil {
			select {
			case answer <- *m.Stats:
			default:
			}
		}
	}
}
