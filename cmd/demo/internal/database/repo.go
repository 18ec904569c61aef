package database

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Repo is a repository as the demo knows it.
type Repo struct {
	ID                int64
	Name              string
	CloneURL          string // may hold a password
	ExternalServiceID *int64
	CreatedAt         time.Time
	Cloned            bool
	Cloning           bool
	LastFetchedAt     *time.Time
	LastChangedAt     *time.Time
	LastError         *string // of the last fetch; nil after a good one
	Failures          int32   // in a row
	NextFetchAt       time.Time
	DiskBytes         int64
	Shard             string // the gitserver that fetched it last; empty if none has
}

const repoColumns = `id, name, clone_url, external_service_id, created_at, cloned, cloning, last_fetched_at, last_changed_at, last_error, failures, next_fetch_at, disk_bytes, shard`

func collectRepos(rows pgx.Rows, err error) ([]Repo, error) {
	if err != nil {
		return nil, fmt.Errorf("list repositories: %w", err)
	}
	repos, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Repo])
	return repos, notFound(err, "list repositories")
}

// Repos lists all repositories by name.
func (db *DB) Repos(ctx context.Context) ([]Repo, error) {
	return collectRepos(db.pool.Query(ctx, `SELECT `+repoColumns+` FROM repos WHERE deleted_at IS NULL ORDER BY name`))
}

// Repo finds a repository by name.
func (db *DB) Repo(ctx context.Context, name string) (Repo, error) {
	return oneRepo(db.pool.Query(ctx, `SELECT `+repoColumns+` FROM repos WHERE name = $1 AND deleted_at IS NULL`, name))
}

// RepoByID finds a repository by id.
func (db *DB) RepoByID(ctx context.Context, id int64) (Repo, error) {
	return oneRepo(db.pool.Query(ctx, `SELECT `+repoColumns+` FROM repos WHERE id = $1 AND deleted_at IS NULL`, id))
}

func oneRepo(rows pgx.Rows, err error) (Repo, error) {
	repos, err := collectRepos(rows, err)
	if err == nil && len(repos) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Repo{}, err
	}
	return repos[0], nil
}

// RequestFetch makes a repository due now and wakes the worker. It changes nothing while the repository backs off after a failure.
func (db *DB) RequestFetch(ctx context.Context, name string) error {
	return pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE repos SET next_fetch_at = now() WHERE name = $1 AND deleted_at IS NULL AND failures = 0 AND NOT cloning`, name)
		if err != nil {
			return fmt.Errorf("ask for a fetch of %s: %w", name, err)
		}
		return wake(ctx, tx)
	})
}

// RemoveRepo takes one repository away for good: out of its code host's configuration as well, which edit is called to do. An empty result of edit deletes the code host.
func (db *DB) RemoveRepo(ctx context.Context, id int64, edit func(config, cloneURL string) (string, error)) error {
	return pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		var service int64
		var cloneURL, config string
		err := tx.QueryRow(ctx, `SELECT s.id, r.clone_url, s.config FROM repos r JOIN external_services s ON s.id = r.external_service_id
			WHERE r.id = $1 AND r.deleted_at IS NULL FOR UPDATE`, id).Scan(&service, &cloneURL, &config)
		if err != nil {
			return notFound(err, "find a repository to remove")
		}
		edited, err := edit(config, cloneURL)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE repos SET deleted_at = now() WHERE id = $1`, id); err != nil {
			return fmt.Errorf("remove repository %d: %w", id, err)
		}
		if edited == "" {
			_, err = tx.Exec(ctx, `DELETE FROM external_services WHERE id = $1`, service)
		} else {
			_, err = tx.Exec(ctx, `UPDATE external_services SET config = $2, updated_at = now() WHERE id = $1`, service, edited)
		}
		if err != nil {
			return fmt.Errorf("take repository %d out of external service %d: %w", id, service, err)
		}
		return wake(ctx, tx)
	})
}

// wakeChannel is what the worker listens on.
const wakeChannel = "repos_changed"

// wake reaches the worker when the transaction commits.
func wake(ctx context.Context, q interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}) error {
	if _, err := q.Exec(ctx, `SELECT pg_notify($1, '')`, wakeChannel); err != nil {
		return fmt.Errorf("wake the worker: %w", err)
	}
	return nil
}
