package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// external is an appliance whose database and Redis are the site's own.
type external struct {
	*appliance
	pg, cache, store *server
}

func installExternal(t *testing.T) *external {
	t.Helper()
	x := &external{install(t), newPostgres(t), newRedis(t), newRedis(t)}
	x.secret("pg", serverPassword)
	x.secret("redis-site", serverPassword)
	x.says(x.pg.database("main"), x.cache.redis())
	return x
}

// says writes the configuration with an entry for the main database and one for the cache; the rest is right.
func (x *external) says(frontend, cache string) {
	x.t.Helper()
	x.top = fmt.Sprintf("postgres:\n  frontend: %s\n  codeintel: %s\n  codeinsights: %s\nredis:\n  cache: %s\n  store: %s\n",
		frontend, x.pg.database("intel"), x.pg.database("insights"), cache, x.store.redis())
	x.configureAll(nil)
}

// pids are the processes of the services.
func (x *external) pids() map[string]int {
	_, services := x.status()
	pids := map[string]int{}
	for name, s := range services {
		if s.PID > 0 {
			pids[name] = s.PID
		}
	}
	return pids
}

// TestDatabaseAndRedisOfTheSitesOwn: nothing bundled is started, a search answers, and the servers may go away and come back.
func TestDatabaseAndRedisOfTheSitesOwn(t *testing.T) {
	x := installExternal(t)
	needles := x.stock()
	const query = "needle count:all"
	names := []string{"postgres", "redis-cache", "redis-store"}
	isElsewhere := func(t *testing.T) {
		t.Helper()
		_, services := x.status()
		for _, name := range names {
			s := services[name]
			require.Equal(t, "external", s.Kind, name)
			require.Equal(t, api.Ready, s.State, name)
			require.Zero(t, s.PID, name)
			require.Empty(t, s.Program, name)
		}
		require.Equal(t, x.pg.address(), services["postgres"].Addresses["main"])
		code, text := x.say("status")
		require.Equal(t, 0, code, text)
		for _, s := range []*server{x.pg, x.cache, x.store} {
			require.Contains(t, text, "elsewhere, at "+s.address())
		}
	}

	x.step(t, "what is bundled is not started, and has no data", func(t *testing.T) {
		isElsewhere(t)
		for _, line := range x.living() {
			require.NotContains(t, line, "redis-server")
			require.NotContains(t, line, "/bin/postgres")
		}
		for _, name := range []string{"postgres", "redis"} {
			found, err := filepath.Glob(filepath.Join(x.data(), "data", "*", name+"*"))
			require.NoError(t, err)
			require.Empty(t, found)
		}
		code, text := x.say("psql", "--", "-Atc", "select current_database(), count(*) from repos")
		require.Equal(t, 0, code, text)
		require.Equal(t, "main|2\n", text)
	})

	x.step(t, "kill -9 of stage 1 touches nothing, and asks again", func(t *testing.T) {
		before, _ := x.status()
		pids := x.pids()
		x.kill(before.PID)
		x.ready()
		isElsewhere(t)
		require.Equal(t, pids, x.pids())
		require.NoError(t, x.finds(query, needles))
	})

	x.step(t, "all three go away: it is told, nothing is restarted, and all is well when they are back", func(t *testing.T) {
		pids := x.pids()
		for _, s := range []*server{x.pg, x.cache, x.store} {
			s.stop()
		}
		x.until("postgres", func(s api.Service) bool {
			return s.State == api.Degraded && s.Reason == "PostgreSQL at "+x.pg.address()+", database main: connection refused: nothing listens there"
		})
		x.until("redis-cache", func(s api.Service) bool {
			return s.State == api.Degraded && s.Reason == "Redis at "+x.cache.address()+": connection refused: nothing listens there"
		})
		code, text := x.say("why", "postgres")
		require.Equal(t, 0, code, text)
		require.Contains(t, text, "see that it runs, listens on that address, and that this machine may reach it")
		require.Error(t, x.finds(query, needles))
		for _, s := range []*server{x.pg, x.cache, x.store} {
			s.start()
		}
		x.ready()
		x.answers(query, needles)
		require.Equal(t, pids, x.pids())
		isElsewhere(t)
	})

	x.step(t, "stop and start: users, tokens and repositories are in the site's database", func(t *testing.T) {
		require.Equal(t, 0, x.stop(), x.out)
		x.up()
		require.Equal(t, "root", x.whoami())
		x.answers(query, needles)
	})
	require.Equal(t, 0, x.stop(), x.out)
	conn, err := os.ReadFile("/proc/" + fmt.Sprint(x.pg.cmd.Process.Pid) + "/stat")
	require.NoError(t, err, "the site's own server is not ours to stop")
	require.NotEmpty(t, conn)
}

// TestServersThatCannotBeUsed walks the faults of the site's own servers while the product waits for them; each is told with its remedy and mended by
// a reload, and nothing is started before.
func TestServersThatCannotBeUsed(t *testing.T) {
	x := installExternal(t)
	x.secret("typo", "another")
	x.pg.sql("CREATE DATABASE latin OWNER sg ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", "CREATE DATABASE frozen OWNER sg", "ALTER DATABASE frozen SET default_transaction_read_only = on",
		"CREATE DATABASE strange")
	standby := x.pg.standby()
	replica := newRedis(t, "--replicaof", "127.0.0.1", fmt.Sprint(x.cache.port), "--masterauth", serverPassword)
	closed := newServer(t)
	main, cache := x.pg.database("main"), x.cache.redis()
	faults := []struct{ name, frontend, cache, want, remedy string }{
		{"nothing listens", closed.database("main"), cache, "PostgreSQL at " + closed.address() + ", database main: connection refused", "see that it runs"},
		{"wrong password", strings.Replace(main, "secret: pg", "secret: typo", 1), cache, "the password of user sg is wrong", "write the right one into the secret typo, then reload"},
		{"no such database", x.pg.database("nope"), cache, "database nope: there is no such database", "CREATE DATABASE nope OWNER sg"},
		{"no TLS", strings.Replace(main, "sslmode: disable", "sslmode: require", 1), cache, "it offers no TLS", "sslmode: disable"},
		{"wrong collation", x.pg.database("latin"), cache, "its encoding is LATIN1, not UTF8", "CREATE DATABASE latin OWNER sg ENCODING 'UTF8'"},
		{"read only", x.pg.database("frozen"), cache, "it takes no writes", "turn that off"},
		{"standby", standby.database("main"), cache, "PostgreSQL at " + standby.address() + ", database main: it is a standby, which takes no writes", "name the primary's address"},
		{"somebody else's", x.pg.database("strange"), cache, "user sg may not create anything in it", "ALTER DATABASE strange OWNER TO sg"},
		{"redis: wrong password", main, strings.Replace(cache, "secret: redis-site", "secret: typo", 1), "it refuses the password", "write the right one into the secret typo, then reload"},
		{"redis: no password", main, strings.Replace(cache, ", password_secret: redis-site", "", 1), "it demands a password", "password_secret"},
		{"redis: nothing listens", main, closed.redis(), "Redis at " + closed.address() + ": connection refused", "see that it runs"},
		{"redis: read-only replica", main, replica.redis(), "Redis at " + replica.address() + ": it is a replica, which takes no writes", "name the primary's address"},
	}
	x.says(faults[0].frontend, faults[0].cache)
	x.start()
	for _, f := range faults {
		x.step(t, f.name, func(t *testing.T) {
			x.says(f.frontend, f.cache)
			require.True(t, x.eventually(func() bool { _, err := x.client.Reload(context.Background()); return err == nil }))
			service := "postgres"
			if strings.HasPrefix(f.name, "redis") {
				service = "redis-cache"
			}
			x.until(service, func(s api.Service) bool { return s.State != api.Ready && strings.Contains(s.Reason, f.want) })
			x.until("frontend", func(s api.Service) bool { return s.State == api.Waiting && slices.Contains(s.WaitingFor, service) })
			code, text := x.say("why", service)
			require.Equal(t, 0, code, text)
			require.Contains(t, text, f.want)
			require.Contains(t, text, f.remedy)
			require.NotContains(t, text+x.out.String(), serverPassword)
		})
	}
	pids := x.pids()
	delete(pids, "migrator")
	require.Empty(t, slices.Sorted(maps.Keys(pids)), "whatever needs a database has waited")
	x.says(main, cache)
	x.reload()
	x.ready()
	require.Equal(t, 0, x.stop(), x.out)
}

// TestDatabaseThatDoesNotFitTheRelease: the server of this machine, for releases that need a later one, or extensions that only a superuser makes.
func TestDatabaseThatDoesNotFitTheRelease(t *testing.T) {
	x := installExternal(t)
	out, err := x.pg.command(postgresPrograms(t)+"/postgres", "--version").Output()
	require.NoError(t, err)
	var major int
	_, err = fmt.Sscanf(string(out), "postgres (PostgreSQL) %d", &major)
	require.NoError(t, err)
	wants := map[string]string{"3.38.0": "user sg may not create the extensions pg_stat_statements", "7.5.4453": fmt.Sprintf("it is PostgreSQL %d, this release needs 16 or later", major)}
	if major >= 16 {
		wants["7.5.4453"] = "extensions vector"
	}
	for version, want := range wants {
		x.step(t, version, func(t *testing.T) {
			require.NoError(t, os.RemoveAll(x.data()))
			require.NoError(t, os.Mkdir(x.data(), 0o755))
			x.b.release = standInRelease(t, version)
			x.start()
			x.until("postgres", func(s api.Service) bool { return s.State == api.Starting && strings.Contains(s.Reason, want) })
			code, text := x.say("why", "frontend")
			require.Equal(t, 0, code, text)
			require.Contains(t, text, want)
			require.Equal(t, api.Waiting, x.service("migrator").State)
			require.Equal(t, 0, x.stop(), x.out)
		})
	}
}
