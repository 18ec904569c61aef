package gitserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sourcegraph/appliance/cmd/demo/internal/conf"
	"github.com/sourcegraph/appliance/cmd/demo/internal/debugserver"
	"github.com/sourcegraph/appliance/cmd/demo/internal/fault"
	"github.com/sourcegraph/appliance/cmd/demo/internal/lifecycle"
)

// Main is the program gitserver; it returns the exit code. args are the program's arguments: none, or "run" as the helm chart passes it.
//
// Environment: GITSERVER_ADDR (127.0.0.1:3178), SRC_REPOS_DIR (/data/repos), GITSERVER_EXTERNAL_ADDR or HOSTNAME (our entry in SRC_GIT_SERVERS),
// SRC_GIT_SERVERS (else what the frontend says), SRC_REPOS_JANITOR_INTERVAL (1m), SRC_REPOS_JANITOR_DISABLE_DELETE_REPOS_ON_WRONG_SHARD, SRC_FRONTEND_INTERNAL, SRC_PROF_HTTP, SRC_GRACEFUL_SHUTDOWN_TIMEOUT, SRC_LOG_LEVEL and fault's.
func Main(args []string) int {
	var kill atomic.Pointer[Store]
	code := lifecycle.Main("gitserver", func(ctx context.Context, log *slog.Logger) error {
		if len(args) > 0 && args[0] != "run" {
			return lifecycle.Usage{Err: fmt.Errorf("gitserver takes no argument %q", args[0])}
		}
		return serve(ctx, log, kill.Store)
	})
	if s := kill.Load(); s != nil {
		s.kill() // a second signal left them
	}
	return code
}

// serve opens no port until the frontend has answered, as the real gitserver does.
func serve(ctx context.Context, log *slog.Logger, opened func(*Store)) (err error) {
	f, err := fault.FromEnv("gitserver")
	if err != nil {
		return lifecycle.Usage{Err: err}
	}
	grace, err := lifecycle.Grace()
	if err != nil {
		return err
	}
	every, err := janitorInterval()
	if err != nil {
		return err
	}
	keep, err := keepsMisplaced(os.Getenv)
	if err != nil {
		return err
	}
	var ready atomic.Bool
	if err := debugserver.Start(ctx, ready.Load); err != nil {
		return err
	}
	if err := f.Start(ctx); err != nil {
		return err
	}
	internal := conf.FrontendInternal()
	settings, err := conf.Wait(ctx, internal)
	if err != nil {
		return err
	}
	if err := f.BeforeListen(ctx); err != nil {
		return err
	}
	store, err := Open(cmp.Or(os.Getenv("SRC_REPOS_DIR"), "/data/repos"), DefaultLimits(), log)
	if err != nil {
		return err
	}
	opened(store)
	self := identity(os.Getenv)
	store.Join(self, settings.Servers(os.Getenv), !keep)
	defer func() { err = errors.Join(err, store.Close()) }()
	ln, err := lifecycle.Listen("GITSERVER_ADDR", "127.0.0.1:3178")
	if err != nil {
		return err
	}
	ready.Store(true)
	log.Info("listening", "addr", ln.Addr())
	g, ctx := errgroup.WithContext(ctx)
	context.AfterFunc(ctx, store.stop) // updates end at once, so that the requests that wait for them do
	g.Go(func() error { return conf.WatchDSN(ctx, internal, settings) })
	g.Go(func() error { store.Janitor(ctx, every); return nil })
	g.Go(func() error {
		return lifecycle.Serve(ctx, grace, lifecycle.Listener{Net: ln, Handler: f.Middleware(Handler(store, self))})
	})
	return g.Wait()
}

// identity is our entry in SRC_GIT_SERVERS; "" when nobody said so. A HOSTNAME without a port is the machine's and says nothing.
func identity(getenv func(string) string) string {
	name := cmp.Or(getenv("GITSERVER_EXTERNAL_ADDR"), getenv("HOSTNAME"))
	if !strings.Contains(name, ":") {
		return ""
	}
	return name
}

// keepsMisplaced says whether clones that belong to another gitserver stay although that one has them.
func keepsMisplaced(getenv func(string) string) (bool, error) {
	const name = "SRC_REPOS_JANITOR_DISABLE_DELETE_REPOS_ON_WRONG_SHARD"
	keep, err := strconv.ParseBool(cmp.Or(getenv(name), "false"))
	if err != nil {
		return false, lifecycle.Usage{Err: fmt.Errorf("environment %s=%q: want true or false: %w", name, getenv(name), err)}
	}
	return keep, nil
}

func janitorInterval() (time.Duration, error) {
	text := cmp.Or(os.Getenv("SRC_REPOS_JANITOR_INTERVAL"), "1m")
	d, err := time.ParseDuration(text)
	if err == nil && d <= 0 {
		err = errors.New("not above zero")
	}
	if err != nil {
		return 0, lifecycle.Usage{Err: fmt.Errorf("environment SRC_REPOS_JANITOR_INTERVAL=%q: want a duration such as 1m: %w", text, err)}
	}
	return d, nil
}
