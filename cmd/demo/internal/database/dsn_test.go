package database

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestDSN(t *testing.T) {
	for name, tc := range map[string]struct {
		env                            map[string]string
		host, user, password, database string
		port                           uint16
	}{
		"defaults": {env: map[string]string{"PGSSLMODE": "disable"}, host: "127.0.0.1", port: 5432, user: "sg", database: "sg"},
		"odd password": {env: map[string]string{"PGHOST": "::1", "PGPORT": "7", "PGUSER": "u@x", "PGPASSWORD": "a/b:c?d#e%f ", "PGDATABASE": "my db", "PGSSLMODE": "disable"},
			host: "::1", port: 7, user: "u@x", password: "a/b:c?d#e%f ", database: "my db"},
		"socket": {env: map[string]string{"PGHOST": "/run/pg", "PGPORT": "9", "PGSSLMODE": "disable"}, host: "/run/pg", port: 9, user: "sg", database: "sg"},
		"whole":  {env: map[string]string{"PGHOST": "ignored", "PGDATASOURCE": "postgres://a:b@h:1/d?sslmode=disable"}, host: "h", port: 1, user: "a", password: "b", database: "d"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := pgx.ParseConfig(DSN(func(k string) string { return tc.env[k] }))
			require.NoError(t, err)
			require.Equal(t, tc.host, c.Host)
			require.Equal(t, tc.port, c.Port)
			require.Equal(t, tc.user, c.User)
			require.Equal(t, tc.password, c.Password)
			require.Equal(t, tc.database, c.Database)
		})
	}
}
