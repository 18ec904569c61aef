package elsewhere

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

func secrets() map[string]string {
	return map[string]string{"pg": "right", "typo": `wr'on\g`, "redis": "r3d:s@"}
}

func check(t *testing.T, p services.Probe) error {
	t.Helper()
	p.Timeout = 10 * time.Second
	return Check(t.Context(), p, secrets())
}

// requireFault wants the words, a remedy, and no secret.
func requireFault(t *testing.T, err error, want string) {
	t.Helper()
	var f *Fault
	require.ErrorAs(t, err, &f)
	require.Contains(t, f.Error(), want)
	require.NotEmpty(t, f.Hint())
	for _, secret := range secrets() {
		require.NotContains(t, f.Error()+f.Hint(), "'"+secret+"'")
	}
}

// TestEveryFaultOfAnExternalDatabaseIsNamed walks what issue-worthy servers are like, on real ones.
func TestEveryFaultOfAnExternalDatabaseIsNamed(t *testing.T) {
	s := newServer(t)
	s.sql("postgres", "CREATE DATABASE latin OWNER sg ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", "CREATE DATABASE frozen OWNER sg",
		"ALTER DATABASE frozen SET default_transaction_read_only = on", "CREATE DATABASE foreign_db")
	closed := freePort(t)
	for name, tc := range map[string]struct {
		change func(d *services.Database)
		want   string // empty: nothing is wrong
	}{
		"fine":              {func(*services.Database) {}, ""},
		"trusted extension": {func(d *services.Database) { d.Extensions = []string{"citext", "hstore"} }, ""},
		"nothing listens":   {func(d *services.Database) { d.Port = closed }, "connection refused"},
		"no such host":      {func(d *services.Database) { d.Host = "no-such-host.invalid" }, `there is no host "no-such-host.invalid"`},
		"wrong password":    {func(d *services.Database) { d.PasswordSecret = "typo" }, "the password of user sg is wrong"},
		"no such database":  {func(d *services.Database) { d.Name = "nope" }, "there is no such database"},
		"no TLS":            {func(d *services.Database) { d.SSLMode = "require" }, "it offers no TLS"},
		"old version":       {func(d *services.Database) { d.MinMajor = 99 }, "this release needs 99 or later"},
		"encoding":          {func(d *services.Database) { d.Name = "latin" }, "its encoding is LATIN1, not UTF8"},
		"read only":         {func(d *services.Database) { d.Name = "frozen" }, "it takes no writes"},
		"no extension":      {func(d *services.Database) { d.Extensions = []string{"citext", "no_such"} }, "it lacks the extensions no_such"},
		"not a superuser":   {func(d *services.Database) { d.Extensions = []string{"pg_stat_statements"} }, "user sg may not create the extensions pg_stat_statements"},
		"not the owner":     {func(d *services.Database) { d.Name = "foreign_db" }, "may not create anything in it"},
	} {
		t.Run(name, func(t *testing.T) {
			d := s.database()
			tc.change(&d)
			err := check(t, services.Probe{Databases: []services.Database{s.database(), d}})
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			requireFault(t, err, tc.want)
		})
	}
	t.Run("standby", func(t *testing.T) {
		requireFault(t, check(t, services.Probe{Databases: []services.Database{s.standby().database()}}), "it is a standby")
	})
	t.Run("installed by a superuser", func(t *testing.T) {
		s.sql("sg", "CREATE EXTENSION pg_stat_statements")
		d := s.database()
		d.Extensions = []string{"pg_stat_statements"}
		require.NoError(t, check(t, services.Probe{Databases: []services.Database{d}}))
	})
	t.Run("no environment of ours", func(t *testing.T) {
		t.Setenv("PGUSER", "admin")
		t.Setenv("PGPASSWORD", "x")
		t.Setenv("PGSSLMODE", "verify-full")
		require.NoError(t, check(t, services.Probe{Databases: []services.Database{s.database()}}))
	})
}

func TestCollationsThatCannotBeUsed(t *testing.T) {
	good := facts{version: 160004, encoding: "UTF8", collate: "en_US.utf8", collation: "2.40", collationNow: "2.40", mayCreate: true}
	require.Nil(t, good.fault(services.Database{MinMajor: 16}))
	other := good
	other.collate = "de_DE.iso88591"
	require.ErrorContains(t, other.fault(services.Database{}), "its collation is de_DE.iso88591")
	moved := good
	moved.collationNow = "2.41"
	require.ErrorContains(t, moved.fault(services.Database{Name: "sg"}), "collation version mismatch")
	require.Contains(t, moved.fault(services.Database{Name: "sg"}).Hint(), "REINDEX DATABASE sg")
	for _, name := range []string{"C", "C.UTF-8", "en_US.utf8", "de_DE.UTF-8"} {
		require.True(t, goodCollation(name), name)
	}
}

func TestRedisElsewhere(t *testing.T) {
	primary, open := freePort(t), freePort(t)
	serve(t, "redis-server", "--port", strconv.Itoa(primary), "--bind", "127.0.0.1", "--save", "", "--dir", ownDir(t), "--requirepass", secrets()["redis"])
	serve(t, "redis-server", "--port", strconv.Itoa(open), "--bind", "127.0.0.1", "--save", "", "--dir", ownDir(t), "--replicaof", "127.0.0.1", strconv.Itoa(freePort(t)))
	probe := func(port int, secret string) error {
		return check(t, services.Probe{RedisServer: &services.RedisServer{Host: "127.0.0.1", Port: port, PasswordSecret: secret}})
	}
	require.Eventually(t, func() bool { return probe(primary, "redis") == nil }, 10*time.Second, 20*time.Millisecond)
	requireFault(t, probe(primary, "typo"), "it refuses the password")
	requireFault(t, probe(primary, ""), "it demands a password")
	require.Eventually(t, func() bool {
		return probe(open, "").Error() == "Redis at 127.0.0.1:"+strconv.Itoa(open)+": it is a replica, which takes no writes"
	}, 10*time.Second, 20*time.Millisecond)
	requireFault(t, probe(freePort(t), ""), "connection refused")
}
