package database

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const latestSiteConfig = `SELECT contents FROM critical_and_site_config WHERE type = 'site' ORDER BY id DESC LIMIT 1`

// SiteConfig gives the site configuration in force: JSON with comments.
func (db *DB) SiteConfig(ctx context.Context) (contents string, err error) {
	err = db.pool.QueryRow(ctx, latestSiteConfig).Scan(&contents)
	return contents, notFound(err, "read the site configuration")
}

// SetSiteConfig makes contents the one in force; what it is already makes no new version.
func (db *DB) SetSiteConfig(ctx context.Context, contents string) error {
	return pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		var latest string
		if err := tx.QueryRow(ctx, latestSiteConfig).Scan(&latest); err != nil {
			return notFound(err, "read the site configuration")
		}
		if latest == contents {
			return nil
		}
		if _, err := tx.Exec(ctx, `INSERT INTO critical_and_site_config (type, contents) VALUES ('site', $1)`, contents); err != nil {
			return fmt.Errorf("keep the site configuration: %w", err)
		}
		return nil
	})
}
