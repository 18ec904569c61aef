package door

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
)

// feed is a net.Listener whose connections are offered by us.
type feed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newFeed() *feed { return &feed{conns: make(chan net.Conn), done: make(chan struct{})} }

func (f *feed) offer(c net.Conn) {
	select {
	case f.conns <- c:
	case <-f.done:
		c.Close()
	}
}

// Accept implements net.Listener.
func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (f *feed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

// Addr implements net.Listener; nothing listens there.
func (f *feed) Addr() net.Addr { return &net.TCPAddr{} }

// newServer serves a feed; keepAlive is for HTTP/2, since the strict parser must see every HTTP/1 head.
func (d *door) newServer(keepAlive bool) *http.Server {
	limits := Limits{}.withDefaults()
	if !keepAlive {
		limits.MaxHead = 1 << 20 // the strict parser applied the real limit
	}
	s := &http.Server{
		Handler:           &handler{door: d, proxy: newProxy(d)},
		ReadHeaderTimeout: limits.HeadTimeout,
		IdleTimeout:       limits.IdleTimeout,
		MaxHeaderBytes:    limits.MaxHead,
		ConnContext:       withClient,
		ErrorLog:          log.New(d.log.Writer(), d.log.Prefix(), 0),
	}
	s.SetKeepAlivesEnabled(keepAlive)
	return s
}

// serveFeed ends when the server is shut down.
func (d *door) serveFeed(s *http.Server, f *feed) {
	if err := s.Serve(f); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		d.log.Printf("serve handed-over connections: %v", err)
	}
}

// finish lets HTTP/2 connections know that they end.
func finish(ctx context.Context, s *http.Server) { _ = s.Shutdown(ctx) }
