package door

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// door is the process's state.
type door struct {
	log       *log.Logger
	view      atomic.Pointer[view]
	heard     atomic.Int64 // Unix nanoseconds of stage 1's last message
	draining  atomic.Bool
	idleOver  atomic.Bool   // draining, and idle connections are not waited for any more
	admitted  atomic.Uint64 // connections, ever
	givenBack uint64        // of admitted when memory was last given back; the control loop's
	hold      *hold
	stats     counters
	open      *books
	certs     *certs
	tlsConfig *tls.Config
	slow, h2  *feed

	mu        sync.Mutex
	listeners map[string]*listener
}

func newDoor(w io.Writer) *door {
	d := &door{
		log: log.New(w, "", 0), hold: newHold(), open: newBooks(), slow: newFeed(), h2: newFeed(),
		listeners: map[string]*listener{},
	}
	d.stats.since = time.Now()
	d.certs = &certs{log: d.log}
	d.tlsConfig = d.certs.config()
	first, err := newView(State{Mode: Progress}, nil)
	if err != nil {
		panic(err) // a constant that is not valid
	}
	d.view.Store(first)
	return d
}

// apply makes s the State in force. Only the control loop calls it.
func (d *door) apply(s State) error {
	old := d.view.Load()
	v, err := newView(s, old)
	if err != nil {
		return err
	}
	d.view.Store(v)
	d.certs.use(s.TLS)
	d.reissue()
	if old.backend != nil && old.backend != v.backend {
		old.backend.retire()
		d.hold.suspect.Store(false)
	}
	if old.Mode != v.Mode {
		d.log.Printf("mode %s, was %s", v.Mode, old.Mode)
	}
	d.hold.wake()
	return nil
}

// hear notes that stage 1 lives, and does what is due now and then.
func (d *door) hear() {
	now := time.Now()
	d.heard.Store(now.UnixNano())
	if v := d.view.Load(); v.backend != nil {
		v.backend.prune(now, idleFor)
	}
	d.giveBackMemory()
}

// giveBackMemory returns to the kernel what a busy time took, once nobody is connected: the collector would wait for garbage that an idle door does not make.
func (d *door) giveBackMemory() {
	if n := d.admitted.Load(); d.open.count() == 0 && n != d.givenBack {
		d.givenBack = n
		debug.FreeOSMemory()
	}
}

func (d *door) alive(v *view) bool {
	return time.Since(time.Unix(0, d.heard.Load())) < v.BeatTimeout
}

func (d *door) releaseIdle() {
	if b := d.view.Load().backend; b != nil {
		b.retire()
	}
}

// listen makes the set of listeners what is given: the files are ours from here on. Only the control loop calls it.
func (d *door) listen(metas []listenerMeta, files []*os.File) {
	d.replaceListeners(metas, files)
	d.reissue()
}

func (d *door) replaceListeners(metas []listenerMeta, files []*os.File) {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := map[string]*listener{}
	for i, m := range metas {
		l, err := newListener(m.Name, m.TLS, files[i])
		if err != nil {
			d.log.Print(err)
			continue
		}
		if old := d.listeners[m.Name]; old != nil && old.node == l.node && old.tls == l.tls {
			l.Close()
			l = old
		}
		next[m.Name] = l
	}
	for name, old := range d.listeners {
		if next[name] != old {
			d.stopListening(old)
		}
	}
	for name, l := range next {
		if d.listeners[name] == l {
			continue
		}
		d.log.Printf("listening on %s (%s)", l.Addr(), name)
		go d.accept(l)
	}
	d.listeners = next
}

func (d *door) stopListening(l *listener) {
	l.Close()
	<-l.done
}

func (d *door) readStats() Stats {
	s := d.stats.read()
	s.PID = os.Getpid()
	s.Connections = d.open.count()
	s.Held = d.hold.count()
	s.TLSError = d.certs.problem()
	s.Certificate = d.certs.describe()
	s.Draining = d.draining.Load()
	s.Listeners = map[string]string{}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, l := range d.listeners {
		s.Listeners[name] = l.Addr().String()
	}
	return s
}

// serve runs the two net/http servers until ctx is done, then drains as asked for.
func (d *door) serve(ctx context.Context, how func() Drain) {
	one, two := d.newServer(false), d.newServer(true)
	var servers sync.WaitGroup
	servers.Go(func() { d.serveFeed(one, d.slow) })
	servers.Go(func() { d.serveFeed(two, d.h2) })
	<-ctx.Done()
	d.drain(how(), func(ctx context.Context) { finish(ctx, two) })
	finish(ctx, one)
	finish(ctx, two)
	servers.Wait()
}

// drain stops accepting, lets requests end, and cuts what is left at the deadline.
func (d *door) drain(how Drain, endHTTP2 func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), how.Deadline)
	defer cancel()
	d.log.Printf("draining %d connections, at most %s", d.open.count(), how.Deadline)
	d.mu.Lock()
	for name, l := range d.listeners {
		d.stopListening(l)
		delete(d.listeners, name)
	}
	d.mu.Unlock()
	d.draining.Store(true)
	d.open.end()
	go endHTTP2(ctx)
	idle := time.NewTimer(min(how.Idle, how.Deadline))
	defer idle.Stop()
	for {
		select {
		case <-idle.C:
			d.idleOver.Store(true)
			d.open.each(func(c *client) {
				if c.idle.Load() {
					_ = c.SetReadDeadline(time.Now())
				}
			})
		case <-d.open.empty:
			return
		case <-ctx.Done():
			d.log.Printf("drain: cutting %d connections at the deadline", d.open.count())
			d.open.each(func(c *client) { c.Close() })
			return
		}
	}
}
