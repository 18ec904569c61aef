package searcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/sourcegraph/appliance/cmd/demo/internal/conf"
	"github.com/sourcegraph/appliance/cmd/demo/internal/debugserver"
	"github.com/sourcegraph/appliance/cmd/demo/internal/fault"
	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
	"github.com/sourcegraph/appliance/cmd/demo/internal/lifecycle"
)

// Main is the program searcher; it returns the exit code. args are the program's arguments: none.
//
// Environment: SEARCHER_ADDR (127.0.0.1:3181), SEARCHER_CACHE_DIR or CACHE_DIR/searcher (/tmp/searcher), SEARCHER_CACHE_SIZE_MB (100000),
// SRC_GIT_SERVERS (else what the frontend says), SRC_FRONTEND_INTERNAL, SRC_PROF_HTTP, SRC_GRACEFUL_SHUTDOWN_TIMEOUT, SRC_LOG_LEVEL and fault's.
func Main(args []string) int {
	return lifecycle.Main("searcher", func(ctx context.Context, log *slog.Logger) error {
		if len(args) > 0 {
			return lifecycle.Usage{Err: fmt.Errorf("searcher takes no argument %q", args[0])}
		}
		return serve(ctx, log)
	})
}

// serve listens and is ready at once, as the real searcher does; a search waits until the frontend has answered.
func serve(ctx context.Context, log *slog.Logger) (err error) {
	f, err := fault.FromEnv("searcher")
	if err != nil {
		return lifecycle.Usage{Err: err}
	}
	grace, err := lifecycle.Grace()
	if err != nil {
		return err
	}
	size, err := cacheSize(os.Getenv)
	if err != nil {
		return err
	}
	if err := debugserver.Start(ctx, func() bool { return true }); err != nil {
		return err
	}
	if err := errors.Join(f.Start(ctx), f.BeforeListen(ctx)); err != nil {
		return err
	}
	var servers atomic.Pointer[[]string]
	git := gitserver.NewClient(func() []string { return *servers.Load() }, nil)
	cache, err := OpenCache(cacheDir(os.Getenv), size, git.Archive, log)
	if err != nil {
		return err
	}
	ln, err := lifecycle.Listen("SEARCHER_ADDR", "127.0.0.1:3181")
	if err != nil {
		return err
	}
	configured := make(chan struct{})
	log.Info("listening", "addr", ln.Addr(), "cache_bytes", cache.Bytes())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		settings, err := conf.NewClient(conf.FrontendInternal()).Wait(ctx, log)
		if err != nil {
			return nil // we are stopping
		}
		addrs := settings.Servers(os.Getenv)
		servers.Store(&addrs)
		close(configured)
		return nil
	})
	g.Go(func() error {
		return lifecycle.Serve(ctx, grace, lifecycle.Listener{Net: ln, Handler: f.Middleware(Handler(NewSearcher(cache), configured, log))})
	})
	return g.Wait()
}

func cacheDir(getenv func(string) string) string {
	if dir := getenv("SEARCHER_CACHE_DIR"); dir != "" {
		return dir
	}
	return filepath.Join(cmp.Or(getenv("CACHE_DIR"), os.TempDir()), "searcher")
}

// cacheSize is in bytes.
func cacheSize(getenv func(string) string) (int64, error) {
	text := cmp.Or(getenv("SEARCHER_CACHE_SIZE_MB"), "100000")
	mb, err := strconv.ParseInt(text, 10, 64)
	if err == nil && (mb < 1 || mb > 1<<40) {
		err = errors.New("not in 1..2^40")
	}
	if err != nil {
		return 0, lifecycle.Usage{Err: fmt.Errorf("environment SEARCHER_CACHE_SIZE_MB=%q: want a number of MB: %w", text, err)}
	}
	return mb * 1e6, nil
}
