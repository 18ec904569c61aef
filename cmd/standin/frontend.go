package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"
)

// connection is what runs a statement.
type connection interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

func run(ctx context.Context, conn connection, sql string, args ...any) error {
	_, err := conn.Exec(ctx, sql, args...)
	return err
}

// frontend owns the configuration and gives it to the others on its internal port.
func frontend(p *program) {
	if os.Getenv("CONFIGURATION_MODE") != "server" {
		p.dies(2, "panic: CONFIGURATION_MODE is %q", os.Getenv("CONFIGURATION_MODE"))
	}
	p.common()
	// Without them: a panic at the first unindexed search, or look-ups in Kubernetes (observed; services.md 3.2).
	p.needs("SRC_GIT_SERVERS", "SEARCHER_URL", "INDEXED_SEARCH_SERVERS", "SRC_SYNTECT_SERVER", "SRC_HTTP_ADDR", "SRC_HTTP_ADDR_INTERNAL", "CACHE_DIR")
	p.needs("PRECISE_CODE_INTEL_UPLOAD_AWS_ENDPOINT", "GRAFANA_SERVER_URL", "PROMETHEUS_URL")
	p.sinceWhen()
	p.writes(os.Getenv("CACHE_DIR"))
	ready := new(atomic.Bool)
	p.debug(ready)
	c := configuration{DSN: p.dsns(), GitServers: strings.Fields(os.Getenv("SRC_GIT_SERVERS")), Indexers: strings.Fields(os.Getenv("INDEXED_SEARCH_SERVERS"))}
	for prefix, dsn := range c.DSN {
		p.schemaOf(prefix, p.connect(dsn))
	}
	p.redis("REDIS_CACHE_ENDPOINT")
	p.redis("REDIS_STORE_ENDPOINT")
	p.serve(os.Getenv("SRC_HTTP_ADDR"), answers("/healthz")) // stays 200 when PostgreSQL or Redis is lost (observed)
	internal := http.NewServeMux()                           // its /healthz is 404 (observed)
	internal.HandleFunc("GET "+configurationPath, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(c) // a client that went away asks again
	})
	p.serve(os.Getenv("SRC_HTTP_ADDR_INTERNAL"), internal)
	ready.Store(true)
	fmt.Println("✱ Sourcegraph is ready at: http://" + os.Getenv("SRC_HTTP_ADDR"))
	p.untilTold()
}

// sinceWhen asks for what some versions need, and others do not have.
func (p *program) sinceWhen() {
	if p.from(6, 4) {
		p.needs("INDEXED_SEARCH_INDEXER")
		p.knowsNot("SYMBOLS_URL", "REPO_UPDATER_URL")
	} else {
		p.needs("SYMBOLS_URL", "REPO_UPDATER_URL")
	}
	if p.from(5, 3) {
		p.knowsNot("GITHUB_BASE_URL")
	} else {
		p.needs("GITHUB_BASE_URL")
	}
	if p.from(7, 2) {
		p.needs("SOURCEGRAPH_UPLOAD_BACKEND", "SOURCEGRAPH_UPLOAD_AWS_ENDPOINT")
	} else {
		p.knowsNot("SOURCEGRAPH_UPLOAD_BACKEND")
	}
}

// schemaOf refuses a database that the migrator has not brought to this version (observed: exit 1 at once).
func (p *program) schemaOf(prefix string, conn *pgx.Conn) {
	ctx := context.Background()
	defer conn.Close(ctx)
	var dirty, done bool
	if err := conn.QueryRow(ctx, isDirty, p.version).Scan(&dirty, &done); err != nil || dirty || !done {
		p.dies(1, "%sdatabase schema out of date (dirty: %t, %v)", prefix, dirty, err)
	}
}

// redis waits as long as the real one did, and then goes on (observed: 185 s).
func (p *program) redis(name string) {
	p.needs(name)
	opts, err := redis.ParseURL(os.Getenv(name))
	if err != nil {
		opts = &redis.Options{Addr: os.Getenv(name)}
	}
	client := redis.NewClient(opts)
	defer client.Close()
	for deadline := time.Now().Add(185 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if client.Ping(context.Background()).Err() == nil {
			return
		}
	}
}
