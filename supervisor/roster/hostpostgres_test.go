package roster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

// TestPostgresOfTheHostThatIsTooOldIsRefused unless the site says that it may run; each extension that is missing is said with what brings it.
func TestPostgresOfTheHostThatIsTooOldIsRefused(t *testing.T) {
	root := t.TempDir()
	extensions := filepath.Join(root, "share/postgresql/15/extension")
	require.NoError(t, os.MkdirAll(extensions, 0o755))
	for _, name := range []string{"citext", "hstore", "intarray", "pg_stat_statements", "pgcrypto"} {
		require.NoError(t, os.WriteFile(filepath.Join(extensions, name+".control"), nil, 0o644))
	}
	host := services.Program{Path: filepath.Join(root, "lib/postgresql/15/bin/postgres"), Source: "host"}
	said := func(version string, p services.Program) []string {
		r := &Roster{Dir: "/r", Release: Manifest{Product: "sourcegraph", Version: version}, Site: Site{AllowOldPostgres: true}}
		out, err := r.hostPostgres(p)
		require.NoError(t, err)
		return out
	}
	_, err := (&Roster{Dir: "/r", Release: Manifest{Product: "sourcegraph", Version: "6.3.4167"}}).hostPostgres(host)
	require.Equal(t, CodeInvalid, code(err))
	require.ErrorContains(t, err, "this machine has PostgreSQL 15 ("+host.Path+"), and sourcegraph 6.3.4167 needs 16 or later")
	require.Contains(t, hintOf(err), "install postgresql-16 (apt.postgresql.org has it)")
	require.Contains(t, hintOf(err), "allow_old_postgres: true")
	_, err = (&Roster{Dir: "/r", Release: Manifest{Product: "sourcegraph", Version: "5.11.6271"}}).hostPostgres(host)
	require.NoError(t, err, "15 is new enough")

	old := said("5.2.7", host)
	require.Len(t, old, 1, "15 is new enough")
	require.Contains(t, old[0], "the extension pg_trgm is not in "+extensions)
	require.Contains(t, old[0], "apt-get install postgresql-15")
	now := said("6.3.4167", host)
	require.Len(t, now, 3)
	require.Contains(t, now[0], "allow_old_postgres lets it run")
	require.Contains(t, now[2], "apt-get install postgresql-15-pgvector")

	carried := host
	carried.Source = "release"
	require.Empty(t, said("6.3.4167", carried), "a release knows what it carries")
	require.Empty(t, said("6.3.4167", services.Program{Path: "/usr/bin/postgres", Source: "host"}), "a place that does not tell its major")
}
