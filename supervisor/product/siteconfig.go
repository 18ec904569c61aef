package product

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Version is a site configuration as it was saved once; the one with the highest id is in force.
type Version struct {
	ID       int64     `json:"id"`
	Saved    time.Time `json:"saved"`
	Contents string    `json:"contents"` // JSON with comments; may hold secrets
}

const selectVersion = `SELECT id, created_at, contents FROM critical_and_site_config WHERE type = 'site'`

func (db *DB) canRead() error {
	return db.schema.need("critical_and_site_config", "id", "type", "contents", "created_at")
}

// SiteConfig is the version in force. The product writes the first when it starts for the first time.
func (db *DB) SiteConfig(ctx context.Context) (Version, error) {
	if err := db.canRead(); err != nil {
		return Version{}, err
	}
	return version(db.conn.QueryRow(ctx, selectVersion+` ORDER BY id DESC LIMIT 1`), "the product has no site configuration yet", "start it once: sourcegraph start frontend")
}

// SiteConfigAt is an earlier version.
func (db *DB) SiteConfigAt(ctx context.Context, id int64) (Version, error) {
	if err := db.canRead(); err != nil {
		return Version{}, err
	}
	return version(db.conn.QueryRow(ctx, selectVersion+` AND id = $1`, id), fmt.Sprintf("there is no version %d of the site configuration", id), "list them with: sourcegraph site-config show --versions")
}

// Before is the version before the one in force whose text differs from it.
func (db *DB) Before(ctx context.Context, now Version) (Version, error) {
	return version(db.conn.QueryRow(ctx, selectVersion+` AND id < $1 AND contents <> $2 ORDER BY id DESC LIMIT 1`, now.ID, now.Contents),
		"there is no earlier site configuration", "nothing is to be rolled back")
}

func version(row pgx.Row, none, fix string) (v Version, err error) {
	err = row.Scan(&v.ID, &v.Saved, &v.Contents)
	if errors.Is(err, pgx.ErrNoRows) {
		return v, &Refusal{codeInvalid, none, fix}
	}
	if err != nil {
		return v, fmt.Errorf("read the site configuration: %w", err)
	}
	return v, nil
}

// SiteConfigs lists up to n versions, the newest first.
func (db *DB) SiteConfigs(ctx context.Context, n int) ([]Version, error) {
	if err := db.canRead(); err != nil {
		return nil, err
	}
	rows, err := db.conn.Query(ctx, selectVersion+` ORDER BY id DESC LIMIT $1`, n)
	if err != nil {
		return nil, fmt.Errorf("list the versions of the site configuration: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Version])
	if err != nil {
		return nil, fmt.Errorf("list the versions of the site configuration: %w", err)
	}
	return list, nil
}

// SetSiteConfig saves contents as the next version, unless somebody saved one since the version last. The product takes it within 5 s.
// src: sourcegraph: internal/conf/server.go (watchSource), internal/database/conf.go (createIfUpToDate; an author of NULL is none of its users)
func (db *DB) SetSiteConfig(ctx context.Context, last int64, contents string) (id int64, err error) {
	if err := errors.Join(db.canRead(), db.schema.insert("critical_and_site_config", "type", "contents")); err != nil {
		return 0, err
	}
	err = db.change(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE critical_and_site_config IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return fmt.Errorf("lock the site configuration: %w", err)
		}
		now, err := version(tx.QueryRow(ctx, selectVersion+` ORDER BY id DESC LIMIT 1`), "the site configuration is gone", "see: sourcegraph psql")
		if err != nil {
			return err
		}
		if now.ID != last {
			return &Refusal{codeRefused, fmt.Sprintf("somebody saved version %d of the site configuration at %s, after version %d that you began with", now.ID, now.Saved.UTC().Format(time.RFC3339), last),
				"nothing was saved; look at theirs (sourcegraph site-config show) and begin again"}
		}
		if db.dry { // a row that is taken back takes its number along
			return nil
		}
		if err := tx.QueryRow(ctx, `INSERT INTO critical_and_site_config (type, contents) VALUES ('site', $1) RETURNING id`, contents).Scan(&id); err != nil {
			return fmt.Errorf("save the site configuration: %w", err)
		}
		return nil
	})
	return id, err
}
