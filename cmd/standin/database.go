package main

import (
	"context"
	"net"
	"net/url"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

// prefixes of the three families of libpq variables.
func prefixes() []string { return []string{"", "CODEINTEL_", "CODEINSIGHTS_"} }

// startupTimeout is DB_STARTUP_TIMEOUT's default: for so long a PostgreSQL that is away is waited for (observed).
const startupTimeout = 10 * time.Second

// dsn makes a URL of one family of variables. Only frontend and migrator have them.
func (p *program) dsn(prefix string) string {
	for _, name := range []string{"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE"} {
		p.needs(prefix + name)
	}
	get := func(name string) string { return os.Getenv(prefix + name) }
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(get("PGUSER"), get("PGPASSWORD")), Host: net.JoinHostPort(get("PGHOST"), get("PGPORT")), Path: get("PGDATABASE"),
		RawQuery: "sslmode=" + get("PGSSLMODE"),
	}
	return u.String()
}

// dsns are all three. The same one for frontend and codeintel is refused.
func (p *program) dsns() map[string]string {
	all := map[string]string{}
	for _, prefix := range prefixes() {
		all[prefix] = p.dsn(prefix)
	}
	if all[""] == all["CODEINTEL_"] && os.Getenv("CODEINTEL_PG_ALLOW_SINGLE_DB") != "true" {
		p.dies(2, "panic: frontend and codeintel use the same database")
	}
	return all
}

// connect opens a database; it ends the program when that takes longer than the real one has patience.
func (p *program) connect(dsn string) *pgx.Conn {
	ctx, cancel := context.WithTimeout(context.Background(), startupTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, dsn)
		if err == nil {
			return conn
		}
		if ctx.Err() != nil {
			p.dies(1, "failed to connect to the database: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
