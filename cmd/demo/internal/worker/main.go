package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sourcegraph/appliance/cmd/demo/internal/conf"
	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/debugserver"
	"github.com/sourcegraph/appliance/cmd/demo/internal/fault"
	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
	"github.com/sourcegraph/appliance/cmd/demo/internal/lifecycle"
	"github.com/sourcegraph/appliance/cmd/demo/internal/migrator"
)

// Main is the program worker; it returns the exit code. args are the program's arguments: none.
//
// Environment: SRC_FRONTEND_INTERNAL, SRC_GIT_SERVERS (else what the frontend says), WORKER_ADDR (127.0.0.1:3189), DEMO_FETCH_INTERVAL (1m), DEMO_REPOS (none),
// DB_STARTUP_TIMEOUT, SRC_PROF_HTTP, SRC_GRACEFUL_SHUTDOWN_TIMEOUT, SRC_LOG_LEVEL, SRC_LOG_FORMAT and fault's.
func Main(args []string) int {
	return lifecycle.Main("worker", func(ctx context.Context, log *slog.Logger) error {
		if len(args) > 0 {
			return lifecycle.Usage{Err: fmt.Errorf("worker takes no argument %q", args[0])}
		}
		return serve(ctx, log)
	})
}

// serve opens no port of its own before the frontend has answered, as the real worker.
func serve(ctx context.Context, log *slog.Logger) error {
	f, err := fault.FromEnv("worker")
	if err != nil {
		return lifecycle.Usage{Err: err}
	}
	interval, err := fetchInterval(os.Getenv)
	if err != nil {
		return lifecycle.Usage{Err: err}
	}
	grace, err := lifecycle.Grace()
	if err != nil {
		return err
	}
	var ready atomic.Bool
	if err := debugserver.Start(ctx, ready.Load, f.Hang); err != nil {
		return err
	}
	if err := errors.Join(f.Start(ctx), f.BeforeListen(ctx)); err != nil {
		return err
	}
	frontend := conf.NewClient(conf.FrontendInternal())
	settings, err := frontend.Wait(ctx, log)
	if err != nil {
		return err
	}
	db, err := open(ctx, settings.PostgresDSN)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := keepGiven(ctx, db, os.Getenv("DEMO_REPOS")); err != nil {
		return err
	}
	ln, err := lifecycle.Listen("WORKER_ADDR", "127.0.0.1:3189")
	if err != nil {
		return err
	}
	servers := settings.Servers(os.Getenv)
	scheduler := &Scheduler{DB: db, Git: gitserver.NewClient(func() []string { return servers }, nil), Servers: servers, Interval: interval, Log: log}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return frontend.WatchDSN(ctx, settings) })
	g.Go(func() error { return scheduler.Run(ctx) })
	g.Go(func() error {
		return lifecycle.Serve(ctx, grace, lifecycle.Listener{Net: ln, Handler: f.Middleware(handler())})
	})
	ready.Store(true)
	log.Info("ready", "addr", ln.Addr(), "fetch_interval", interval)
	return g.Wait()
}

func open(ctx context.Context, dsn string) (*database.DB, error) {
	db, err := database.Open(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if err := migrator.Check(ctx, db); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return mux
}

func fetchInterval(getenv func(string) string) (time.Duration, error) {
	text := getenv("DEMO_FETCH_INTERVAL")
	if text == "" {
		return time.Minute, nil
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < time.Second {
		err = errors.New("below 1s")
	}
	if err != nil {
		return 0, fmt.Errorf("environment DEMO_FETCH_INTERVAL=%q: want a duration such as 1m: %w", text, err)
	}
	return d, nil
}
