package frontend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/sourcegraph/appliance/cmd/demo/internal/conf"
	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/debugserver"
	"github.com/sourcegraph/appliance/cmd/demo/internal/fault"
	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
	"github.com/sourcegraph/appliance/cmd/demo/internal/lifecycle"
	"github.com/sourcegraph/appliance/cmd/demo/internal/migrator"
	"github.com/sourcegraph/appliance/cmd/demo/internal/search"
	"github.com/sourcegraph/appliance/cmd/demo/internal/searcher"
)

// Main is the program frontend of the given release; it returns the exit code. args may be "serve", as the image passes it.
//
// Environment: CONFIGURATION_MODE=server (needed), PG*, REDIS_CACHE_ENDPOINT, REDIS_STORE_ENDPOINT, REDIS_ENDPOINT, SRC_GIT_SERVERS, SEARCHER_URL, SITE_CONFIG_FILE,
// SRC_HTTP_ADDR (127.0.0.1:3080), SRC_HTTP_ADDR_INTERNAL (127.0.0.1:3090), DB_STARTUP_TIMEOUT, SRC_PROF_HTTP, SRC_GRACEFUL_SHUTDOWN_TIMEOUT,
// SRC_LOG_LEVEL, SRC_LOG_FORMAT and fault's.
func Main(version string, args []string) int {
	return lifecycle.Main("frontend", func(ctx context.Context, log *slog.Logger) error {
		if len(args) > 1 || len(args) == 1 && args[0] != "serve" {
			return lifecycle.Usage{Err: fmt.Errorf("frontend takes no argument but serve, got %q", args)}
		}
		return serve(ctx, log, version)
	})
}

func serve(ctx context.Context, log *slog.Logger, version string) error {
	env, envErr := readEnvironment(os.Getenv)
	f, faultErr := fault.FromEnv("frontend")
	if err := errors.Join(envErr, faultErr); err != nil {
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
	db, err := open(ctx, env.dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := overrideSiteConfig(ctx, db, env.siteConfig); err != nil {
		return err
	}
	cache, store := redis.NewClient(env.redisCache), redis.NewClient(env.redisStore)
	defer cache.Close()
	defer store.Close()
	s, err := newServer(version, db, cache, store, env, log, f.Wrong())
	if err != nil {
		return err
	}
	public, internal, err := listen()
	if err != nil {
		return err
	}
	ready.Store(true)
	fmt.Printf("demo %s frontend: ready at http://%s\n", version, public.Addr())
	return lifecycle.Serve(ctx, grace,
		lifecycle.Listener{Net: public, Handler: f.Hang(s.public())},
		lifecycle.Listener{Net: internal, Handler: f.Hang(s.internal())})
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

func listen() (public, internal net.Listener, err error) {
	public, err = lifecycle.Listen("SRC_HTTP_ADDR", "127.0.0.1:3080")
	if err != nil {
		return nil, nil, err
	}
	internal, err = lifecycle.Listen("SRC_HTTP_ADDR_INTERNAL", "127.0.0.1:3090")
	if err != nil {
		public.Close()
		return nil, nil, err
	}
	return public, internal, nil
}

func newServer(version string, db *database.DB, cache, store *redis.Client, env environment, log *slog.Logger, wrong bool) (*server, error) {
	git := gitserver.NewClient(func() []string { return env.gitServers }, nil)
	s := &server{
		version: version, db: db, cache: cache, store: store, git: git, log: log,
		engine: &search.Engine{Repos: db, Git: git, Searcher: searcher.NewClient(func() []string { return env.searcherURLs }, nil), Wrong: wrong},
		config: conf.Config{PostgresDSN: env.dsn, GitServers: env.gitServers, SearcherURLs: env.searcherURLs, Version: version},
	}
	var err error
	if s.schema, err = newSchema(s); err != nil {
		return nil, err
	}
	s.templates, err = newTemplates()
	return s, err
}
