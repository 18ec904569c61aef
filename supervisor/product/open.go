package product

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// DB is one connection to the product's database.
type DB struct {
	conn   *pgx.Conn
	schema schema
	tenant string // the only one's id; empty where the product has none
	dry    bool
}

// Open connects as frontend does, given its environment. With dry every change is made and taken back. The password is in no error.
func Open(ctx context.Context, env []string, dry bool) (*DB, error) {
	config, err := config(env)
	if err != nil {
		return nil, fmt.Errorf("read the address of the product's database from frontend's environment: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, &Refusal{codeNotRight, fmt.Sprintf("the product's database at %s does not answer: %v", config.Host, errors.Unwrap(err)), "see: sourcegraph why postgres"}
	}
	db := &DB{conn: conn, dry: dry}
	if db.schema, err = readSchema(ctx, conn); err == nil {
		err = db.readTenant(ctx)
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// Close ends the connection.
func (db *DB) Close() { _ = db.conn.Close(context.Background()) } // all that was wanted of it is done

// config takes nothing from our own environment and home directory, which libpq's rules would.
func config(env []string) (*pgx.ConnConfig, error) {
	values := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		values[name] = value
	}
	text := values["PGDATASOURCE"]
	if text == "" {
		text = words([][2]string{
			{"host", cmp.Or(values["PGHOST"], "127.0.0.1")}, {"port", cmp.Or(values["PGPORT"], "5432")}, {"user", cmp.Or(values["PGUSER"], "sg")},
			{"password", values["PGPASSWORD"]}, {"dbname", cmp.Or(values["PGDATABASE"], "sg")}, {"sslmode", cmp.Or(values["PGSSLMODE"], "require")},
			{"sslrootcert", values["PGSSLROOTCERT"]}, {"sslcert", values["PGSSLCERT"]}, {"sslkey", values["PGSSLKEY"]},
			{"passfile", "/dev/null"}, {"servicefile", "/dev/null"}, {"application_name", "sourcegraph-appliance"},
		})
	}
	config, err := pgx.ParseConfig(text)
	if err != nil {
		return nil, errors.New("it cannot be read") // the text holds the password
	}
	config.ConnectTimeout = 10 * time.Second
	return config, nil
}

func words(list [][2]string) string {
	var out []string
	for _, w := range list {
		if w[1] != "" {
			out = append(out, w[0]+"='"+strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(w[1])+"'")
		}
	}
	return strings.Join(out, " ")
}

// readTenant finds the tenant that every row belongs to. The owner of the tables sees all rows, so more than one would mix them.
// src: sourcegraph: migrations/frontend/squashed.sql @7 (tenant_id DEFAULT current_setting('app.current_tenant'))
func (db *DB) readTenant(ctx context.Context) error {
	if !db.schema.has("users", "tenant_id") {
		return nil
	}
	rows, err := db.conn.Query(ctx, `SELECT id::text FROM tenants`)
	if err != nil {
		return fmt.Errorf("list the product's tenants: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list the product's tenants: %w", err)
	}
	if len(ids) != 1 {
		return &Refusal{codeRefused, fmt.Sprintf("the product's database has %d tenants, and which one is meant cannot be said", len(ids)), "use the product's own pages"}
	}
	db.tenant = ids[0]
	return nil
}

// change runs one transaction; a dry one is taken back at its end.
func (db *DB) change(ctx context.Context, f func(pgx.Tx) error) error {
	tx, err := db.conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin a transaction in the product's database: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) // after a commit it does nothing
	if db.tenant != "" {
		if _, err := tx.Exec(ctx, `SELECT set_config('app.current_tenant', $1, true)`, db.tenant); err != nil {
			return fmt.Errorf("choose the product's tenant: %w", err)
		}
	}
	if err := f(tx); err != nil || db.dry {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit to the product's database: %w", err)
	}
	return nil
}
