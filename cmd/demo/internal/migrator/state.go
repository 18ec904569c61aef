package migrator

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const versionTable = `CREATE TABLE IF NOT EXISTS schema_migrations (
	version     integer PRIMARY KEY,
	name        text NOT NULL,
	dirty       boolean NOT NULL,
	started_at  timestamptz NOT NULL DEFAULT now(),
	finished_at timestamptz
)`

// State is how far a database has come.
type State struct {
	Version int // the newest migration applied, 0 for none
	Dirty   int // the migration that began and did not end, 0 for none
}

// Querier is the part of a connection that [Read] needs.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Read gives the state of a database; one that no migrator has touched is at version 0.
func Read(ctx context.Context, q Querier) (State, error) {
	var s State
	err := q.QueryRow(ctx, `SELECT coalesce(max(version) FILTER (WHERE NOT dirty), 0), coalesce(min(version) FILTER (WHERE dirty), 0)
		FROM schema_migrations`).Scan(&s.Version, &s.Dirty)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42P01" { // undefined_table
		return State{}, nil
	}
	if err != nil {
		return s, fmt.Errorf("read the schema's version: %w", err)
	}
	return s, nil
}

// Check says whether a service of this release may use the database: not dirty, and not behind. A newer schema is fine, because neighbouring releases share one.
func Check(ctx context.Context, q Querier) error {
	migrations, err := Embedded()
	if err != nil {
		return err
	}
	s, err := Read(ctx, q)
	switch {
	case err != nil:
		return err
	case s.Dirty != 0:
		return DirtyDatabase(s.Dirty)
	case s.Version < len(migrations):
		return Outdated{Is: s.Version, Want: len(migrations)}
	}
	return nil
}

// DirtyDatabase is the version whose migration began and did not end.
type DirtyDatabase int

func (v DirtyDatabase) Error() string {
	return fmt.Sprintf("dirty database: migration %d began and did not end", int(v))
}

// Hint names the repair. Migrations are transactions, so nothing of a half-done one is in the schema.
func (v DirtyDatabase) Hint() string {
	return fmt.Sprintf("restore the snapshot taken before it; or, since its transaction was rolled back, run: migrator force %d && migrator up", int(v)-1)
}

// Outdated is a schema that the migrator has still to bring up.
type Outdated struct{ Is, Want int }

func (e Outdated) Error() string {
	return fmt.Sprintf("schema out of date: the database is at version %d, this release needs %d", e.Is, e.Want)
}

// Hint names the command.
func (e Outdated) Hint() string { return "run: migrator up" }
