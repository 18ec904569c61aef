package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// maxConns of one process; Sourcegraph's SRC_PGSQL_MAX_OPEN is 30, the demo needs less.
const maxConns = 10

// DB is a pool of connections to the demo's database.
type DB struct{ pool *pgxpool.Pool }

// Open makes the pool and waits until PostgreSQL answers, for at most DB_STARTUP_TIMEOUT (10 s).
func Open(ctx context.Context, dsn string) (*DB, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the database address: %w", err) // pgx leaves the password out of its error
	}
	config.MaxConns = maxConns
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("prepare connections to %s: %w", where(config.ConnConfig), err)
	}
	if err := Retry(ctx, where(config.ConnConfig), pool.Ping); err != nil {
		pool.Close()
		return nil, err
	}
	return &DB{pool}, nil
}

// Close ends all connections.
func (db *DB) Close() { db.pool.Close() }

// Ping says whether PostgreSQL answers.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.pool.Ping(ctx); err != nil {
		return fmt.Errorf("ask PostgreSQL: %w", err)
	}
	return nil
}

// Connect makes one connection outside any pool, waiting for PostgreSQL as [Open] does.
func Connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the database address: %w", err)
	}
	var conn *pgx.Conn
	err = Retry(ctx, where(config), func(ctx context.Context) (err error) {
		conn, err = pgx.ConnectConfig(ctx, config)
		return err
	})
	return conn, err
}

// Retry tries until it works, or DB_STARTUP_TIMEOUT is over, or PostgreSQL says that trying is of no use.
func Retry(ctx context.Context, what string, try func(context.Context) error) error {
	patience, err := startupTimeout()
	if err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for delay := 20 * time.Millisecond; ; delay = min(2*delay, 500*time.Millisecond) {
		last := try(limit)
		if last == nil {
			return nil
		}
		if hopeless(last) {
			return fmt.Errorf("connect to PostgreSQL at %s: %w", what, last)
		}
		select {
		case <-time.After(delay):
		case <-limit.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("connect to PostgreSQL at %s, given up after DB_STARTUP_TIMEOUT=%s: %w", what, patience, last)
		}
	}
}

func startupTimeout() (time.Duration, error) {
	text := os.Getenv("DB_STARTUP_TIMEOUT")
	if text == "" {
		return 10 * time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err == nil && d <= 0 {
		err = errors.New("not above zero")
	}
	if err != nil {
		return 0, fmt.Errorf("environment DB_STARTUP_TIMEOUT=%q: want a duration such as 10s: %w", text, err)
	}
	return d, nil
}

// hopeless are refusals that waiting does not cure: a wrong password or role, a database that does not exist.
func hopeless(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && (refused.Code == "28P01" || refused.Code == "28000" || refused.Code == "3D000")
}

func where(c *pgx.ConnConfig) string {
	return fmt.Sprintf("%s:%d, database %s", c.Host, c.Port, c.Database)
}

// QueryRow lets other packages read with the pool, as migrator.Check does.
func (db *DB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return db.pool.QueryRow(ctx, sql, args...)
}
