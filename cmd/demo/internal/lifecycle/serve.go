package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

// Grace is SRC_GRACEFUL_SHUTDOWN_TIMEOUT, 10 s by default.
func Grace() (time.Duration, error) {
	text := os.Getenv("SRC_GRACEFUL_SHUTDOWN_TIMEOUT")
	if text == "" {
		return 10 * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = errors.New("below zero")
	}
	if err != nil {
		return 0, Usage{fmt.Errorf("environment SRC_GRACEFUL_SHUTDOWN_TIMEOUT=%q: want a duration such as 10s: %w", text, err)}
	}
	return d, nil
}

// Listener is one address that a service serves.
type Listener struct {
	Net     net.Listener
	Handler http.Handler
}

// Serve serves all listeners until ctx ends, then lets requests finish for up to grace and cuts what is left. A cut is not an error.
func Serve(ctx context.Context, grace time.Duration, listeners ...Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		srv := &http.Server{Handler: l.Handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
		g.Go(func() error {
			if err := srv.Serve(l.Net); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serve %s: %w", l.Net.Addr(), err)
			}
			return nil
		})
		g.Go(func() error {
			<-ctx.Done()
			drain(srv, grace)
			return nil
		})
	}
	return g.Wait()
}

func drain(srv *http.Server, grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		srv.Close() // the grace is over
	}
}

// Listen opens the address in the environment variable name, or the default.
func Listen(name, fallback string) (net.Listener, error) {
	addr := os.Getenv(name)
	if addr == "" {
		addr = fallback
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s=%s: %w", name, addr, err)
	}
	return ln, nil
}
