package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sourcegraph/appliance/supervisor/roster"
)

// Bounds of the port for scrapes: whoever reaches it must not use up the descriptors that starting a service needs.
const (
	scraperConns    = 16
	scrapeHeadWait  = 5 * time.Second
	scrapeIdleWait  = 2 * time.Minute
	scrapeWriteWait = 30 * time.Second
	scrapeMaxHead   = 16 << 10
)

// portRetry is how often an address that could not be had is tried again.
const portRetry = 10 * time.Second

// metricsPort serves /metrics, and nothing else, on an address of its own, in clear. A reload may move it.
type metricsPort struct {
	handler http.Handler
	log     *slog.Logger
	moved   chan struct{} // there is another address

	mu      sync.Mutex
	address string // wanted; empty: none
	server  *http.Server
	serving sync.WaitGroup
}

func newMetricsPort(h http.Handler, log *slog.Logger) *metricsPort {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	return &metricsPort{handler: mux, log: log, moved: make(chan struct{}, 1)}
}

// move serves at address from now on, and no longer at the one before; empty means nowhere. When the address cannot be had, the error
// says who has it, and run tries again.
func (p *metricsPort) move(address string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if address == p.address && (p.server != nil || address == "") {
		return nil
	}
	p.closeLocked()
	p.address = address
	select {
	case p.moved <- struct{}{}:
	default:
	}
	return p.openLocked()
}

func (p *metricsPort) openLocked() error {
	if p.address == "" {
		return nil
	}
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		return &roster.Refusal{Code: roster.CodeRefused, Err: fmt.Errorf("metrics.listen %s: %w%s", p.address, err, roster.HolderOf(p.address)),
			Remedy: "stop that program, or choose another address for metrics.listen"}
	}
	srv := &http.Server{
		Handler: p.handler, ReadHeaderTimeout: scrapeHeadWait, ReadTimeout: scrapeHeadWait, WriteTimeout: scrapeWriteWait, IdleTimeout: scrapeIdleWait,
		MaxHeaderBytes: scrapeMaxHead, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	p.server = srv
	p.serving.Go(func() { _ = srv.Serve(&fewConns{Listener: l, free: make(chan struct{}, scraperConns)}) }) // ends by Close alone
	return nil
}

func (p *metricsPort) closeLocked() {
	if p.server != nil {
		p.server.Close()
		p.serving.Wait()
		p.server = nil
	}
}

// run waits for ctx, then closes the port. Meanwhile it tries to get an address that was taken.
func (p *metricsPort) run(ctx context.Context) error {
	for {
		var retry <-chan time.Time
		if p.missing() {
			retry = time.After(portRetry)
		}
		select {
		case <-p.moved:
		case <-retry:
			p.again()
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			p.closeLocked()
			return ctx.Err()
		}
	}
}

func (p *metricsPort) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.server != nil {
		return
	}
	if err := p.openLocked(); err != nil {
		p.log.Debug("metrics", "err", err)
	}
}

func (p *metricsPort) missing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.address != "" && p.server == nil
}

// fewConns accepts no more than a few connections at a time; the others wait in the kernel.
type fewConns struct {
	net.Listener
	free chan struct{}
}

func (l *fewConns) Accept() (net.Conn, error) {
	l.free <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &oneOfFew{Conn: c, free: l.free}, nil
}

type oneOfFew struct {
	net.Conn
	free chan struct{}
	once sync.Once
}

func (c *oneOfFew) Close() error {
	c.once.Do(func() { <-c.free })
	return c.Conn.Close()
}
