package product

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// schema is the columns by table; true for one that every new row must say.
type schema map[string]map[string]bool

// readSchema looks at the tables that this package reads or writes.
func readSchema(ctx context.Context, conn *pgx.Conn) (schema, error) {
	rows, err := conn.Query(ctx, `SELECT table_name::text, column_name::text, is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'
		FROM information_schema.columns WHERE table_schema = ANY (current_schemas(false)) AND table_name = ANY ($1)`,
		[]string{"users", "user_emails", "names", "roles", "user_roles", "global_state", "critical_and_site_config", "tenants"})
	if err != nil {
		return nil, fmt.Errorf("read the schema of the product's database: %w", err)
	}
	out := schema{}
	var table, column string
	var must bool
	_, err = pgx.ForEachRow(rows, []any{&table, &column, &must}, func() error {
		if out[table] == nil {
			out[table] = map[string]bool{}
		}
		out[table][column] = must
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the schema of the product's database: %w", err)
	}
	return out, nil
}

func (s schema) has(table string, columns ...string) bool {
	for _, c := range columns {
		if _, ok := s[table][c]; !ok {
			return false
		}
	}
	return s[table] != nil
}

// need refuses a table that lacks a column.
func (s schema) need(table string, columns ...string) error {
	if s[table] == nil {
		return unknown(fmt.Sprintf("it has no table %s", table))
	}
	for _, c := range columns {
		if !s.has(table, c) {
			return unknown(fmt.Sprintf("%s has no column %s, but %s", table, c, strings.Join(slices.Sorted(maps.Keys(s[table])), ", ")))
		}
	}
	return nil
}

// insert refuses a table to which a row of these columns cannot be added.
func (s schema) insert(table string, columns ...string) error {
	if err := s.need(table, columns...); err != nil {
		return err
	}
	for _, c := range slices.Sorted(maps.Keys(s[table])) {
		if s[table][c] && !slices.Contains(columns, c) {
			return unknown(fmt.Sprintf("a row of %s must have a %s", table, c))
		}
	}
	return nil
}

func unknown(what string) error {
	return &Refusal{codeRefused, "the product's database is not as this appliance knows it: " + what, "use the product's own pages, or look with: sourcegraph psql"}
}
