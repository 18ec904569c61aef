package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sourcegraph/appliance/cmd/demo/internal/extsvc"
)

// ExternalService is a code host.
type ExternalService struct {
	ID            int64
	Kind          string
	DisplayName   string
	Config        string // may hold passwords
	CreatedAt     time.Time
	UpdatedAt     time.Time
	LastSyncAt    *time.Time
	LastSyncError *string
	RepoCount     int64
}

const serviceColumns = `id, kind, display_name, config, created_at, updated_at, last_sync_at, last_sync_error,
	(SELECT count(*) FROM repos WHERE external_service_id = external_services.id AND deleted_at IS NULL)`

// ExternalServices lists the code hosts, oldest first.
func (db *DB) ExternalServices(ctx context.Context) ([]ExternalService, error) {
	rows, err := db.pool.Query(ctx, `SELECT `+serviceColumns+` FROM external_services ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("list external services: %w", err)
	}
	services, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ExternalService])
	return services, notFound(err, "list external services")
}

// AddExternalService keeps a code host together with its repositories and wakes the worker.
func (db *DB) AddExternalService(ctx context.Context, name, config string, repos []extsvc.Repo) (s ExternalService, err error) {
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		var id int64
		err := tx.QueryRow(ctx, `INSERT INTO external_services (kind, display_name, config) VALUES ($1, $2, $3) RETURNING id`, extsvc.Kind, name, config).Scan(&id)
		if err != nil {
			return fmt.Errorf("add external service %q: %w", name, err)
		}
		if err := syncRepos(ctx, tx, id, repos); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+serviceColumns+` FROM external_services WHERE id = $1`, id)
		if err != nil {
			return fmt.Errorf("read external service %d: %w", id, err)
		}
		s, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[ExternalService])
		return notFound(err, "read an external service")
	})
	return s, err
}

// SyncExternalService makes the repositories of a code host those that parse finds in its configuration. It changes nothing when the code host is gone.
// A configuration that cannot be read keeps what it has and notes why.
func (db *DB) SyncExternalService(ctx context.Context, id int64, parse func(config string) ([]extsvc.Repo, error)) error {
	return pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		var config string
		err := tx.QueryRow(ctx, `SELECT config FROM external_services WHERE id = $1 FOR UPDATE`, id).Scan(&config)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("lock external service %d: %w", id, err)
		}
		repos, err := parse(config)
		if err != nil {
			_, err = tx.Exec(ctx, `UPDATE external_services SET last_sync_at = now(), last_sync_error = $2 WHERE id = $1`, id, err.Error())
			return notFound(err, "note a failed sync")
		}
		return syncRepos(ctx, tx, id, repos)
	})
}

func syncRepos(ctx context.Context, tx pgx.Tx, id int64, repos []extsvc.Repo) error {
	names, urls := make([]string, len(repos)), make([]string, len(repos))
	for i, r := range repos {
		names[i], urls[i] = r.Name, r.CloneURL
	}
	// A name that another code host has already stays with that one; a name on its way out comes back.
	_, err := tx.Exec(ctx, `INSERT INTO repos (name, clone_url, external_service_id) SELECT *, $3::bigint FROM unnest($1::text[], $2::text[])
		ON CONFLICT (name) DO UPDATE SET clone_url = excluded.clone_url, external_service_id = excluded.external_service_id, deleted_at = NULL,
			failures = 0, next_fetch_at = now()
		WHERE repos.deleted_at IS NOT NULL OR repos.external_service_id IS NULL
			OR repos.external_service_id = excluded.external_service_id AND repos.clone_url <> excluded.clone_url`, names, urls, id)
	if err != nil {
		return fmt.Errorf("add repositories of external service %d: %w", id, err)
	}
	_, err = tx.Exec(ctx, `UPDATE repos SET deleted_at = now() WHERE external_service_id = $1 AND deleted_at IS NULL AND name <> ALL ($2::text[])`, id, names)
	if err != nil {
		return fmt.Errorf("drop repositories of external service %d: %w", id, err)
	}
	if _, err := tx.Exec(ctx, `UPDATE external_services SET last_sync_at = now(), last_sync_error = NULL WHERE id = $1`, id); err != nil {
		return fmt.Errorf("note the sync of external service %d: %w", id, err)
	}
	return wake(ctx, tx)
}

// DeleteExternalService removes a code host; its repositories disappear at once and their clones soon after.
func (db *DB) DeleteExternalService(ctx context.Context, id int64) error {
	return pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE repos SET deleted_at = now() WHERE external_service_id = $1 AND deleted_at IS NULL`, id); err != nil {
			return fmt.Errorf("drop repositories of external service %d: %w", id, err)
		}
		tag, err := tx.Exec(ctx, `DELETE FROM external_services WHERE id = $1`, id)
		if err != nil {
			return fmt.Errorf("delete external service %d: %w", id, err)
		}
		if tag.RowsAffected() == 0 {
			return ErrNotFound
		}
		return wake(ctx, tx)
	})
}

// SetExternalService replaces the configuration of a code host, together with its repositories, and wakes the worker.
func (db *DB) SetExternalService(ctx context.Context, id int64, config string, repos []extsvc.Repo) error {
	return pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE external_services SET config = $2, updated_at = now() WHERE id = $1`, id, config); err != nil {
			return fmt.Errorf("change external service %d: %w", id, err)
		}
		return syncRepos(ctx, tx, id, repos)
	})
}
