package migrator

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
)

// lockKey is the advisory lock of all migrators: "demo" as a number.
const lockKey = 0x64656d6f

// Up applies what is missing, one line to out for each. ctx stops it between two migrations, never inside one; then the error says where it stopped.
//
// A database that is dirty is refused with [DirtyDatabase].
func Up(ctx context.Context, conn *pgx.Conn, migrations []Migration, out io.Writer) error {
	return locked(ctx, conn, func() error {
		if _, err := conn.Exec(ctx, versionTable); err != nil {
			return fmt.Errorf("make the version table: %w", err)
		}
		s, err := Read(ctx, conn)
		if err != nil {
			return err
		}
		if s.Dirty != 0 {
			return DirtyDatabase(s.Dirty)
		}
		for _, m := range migrations[min(s.Version, len(migrations)):] {
			if ctx.Err() != nil {
				return fmt.Errorf("stopped by a signal before migration %d", m.Version)
			}
			if err := apply(context.WithoutCancel(ctx), conn, m); err != nil {
				return err
			}
			fmt.Fprintf(out, "migrated to version %d: %s\n", m.Version, m.Name)
		}
		fmt.Fprintf(out, "schema is at version %d\n", max(s.Version, len(migrations)))
		return nil
	})
}

// Force records that the schema is at version, clean, without running anything.
func Force(ctx context.Context, conn *pgx.Conn, version int) error {
	return locked(ctx, conn, func() error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			for _, sql := range []string{
				versionTable,
				fmt.Sprintf(`DELETE FROM schema_migrations WHERE version > %d`, version),
				`UPDATE schema_migrations SET dirty = false, finished_at = coalesce(finished_at, now())`,
				fmt.Sprintf(`INSERT INTO schema_migrations (version, name, dirty, finished_at)
					SELECT n, 'forced', false, now() FROM generate_series(1, %d) n ON CONFLICT DO NOTHING`, version),
			} {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return fmt.Errorf("force the schema's version to %d: %w", version, err)
				}
			}
			return nil
		})
	})
}

// locked runs do while no other migrator does. A lost connection frees the lock by itself.
func locked(ctx context.Context, conn *pgx.Conn, do func() error) error {
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(lockKey)); err != nil {
		return fmt.Errorf("wait for another migrator: %w", err)
	}
	err := do()
	_, unlockErr := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, int64(lockKey))
	if err != nil {
		return err
	}
	if unlockErr != nil {
		return fmt.Errorf("let other migrators run: %w", unlockErr)
	}
	return nil
}

// apply commits the dirty mark first: should anything kill us, the next run knows.
func apply(ctx context.Context, conn *pgx.Conn, m Migration) error {
	if _, err := conn.Exec(ctx, `INSERT INTO schema_migrations (version, name, dirty) VALUES ($1, $2, true)`, m.Version, m.Name); err != nil {
		return fmt.Errorf("mark migration %d as begun: %w", m.Version, err)
	}
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, m.SQL)
		_, markErr := tx.Exec(ctx, `UPDATE schema_migrations SET dirty = false, finished_at = now() WHERE version = $1`, m.Version)
		if err != nil {
			return err
		}
		return markErr
	})
	if err != nil {
		return errors.Join(fmt.Errorf("migration %d (%s): %w", m.Version, m.Name, err), DirtyDatabase(m.Version))
	}
	return nil
}
