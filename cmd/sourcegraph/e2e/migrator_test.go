package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// TestMigratorIsTriedAgainUnlessTheDatabaseIsDirty, on the demo's migrator and a real database: what is refused comes back by itself, what is
// dirty or killed midway waits for a person, with the repair beside it, also after a death of the supervisor.
func TestMigratorIsTriedAgainUnlessTheDatabaseIsDirty(t *testing.T) {
	t.Parallel()
	a := install(t)
	mode := filepath.Join(a.dir, "mode")
	act := func(how string) {
		t.Helper()
		require.NoError(t, os.WriteFile(mode, []byte(how), 0o644))
	}
	migrator := filepath.Join(a.b.release, "bin", "migrator")
	script := strings.ReplaceAll(fmt.Sprintf(`case $(cat %s) in
		refused) exit 1;;
		killed) kill -KILL $$;;
		soiled) psql -qc 'UPDATE schema_migrations SET dirty = true WHERE version = (SELECT max(version) FROM schema_migrations)' || exit 1;;
		mended) %s force $(psql -Atqc 'SELECT max(version) FROM schema_migrations') || exit 1;;
		esac; exec %s up`, mode, migrator, migrator), "\n\t\t", " ")
	a.configure("migrator", fmt.Sprintf("command: [/bin/sh, -c, %q]", script), "restart: {max: 300ms}")
	failed := func() api.Service {
		return a.until("migrator", func(s api.Service) bool { return s.State == api.Failed })
	}
	repair := func() string {
		chain, err := a.client.Why(context.Background(), "migrator")
		require.NoError(t, err)
		require.Contains(t, chain[0].Next, "sourcegraph start migrator")
		return fmt.Sprint(chain[0].Next, chain[0].Evidence)
	}
	begin := func() {
		_, err := a.client.Start(context.Background(), []string{"migrator"})
		require.NoError(t, err)
	}

	act("refused")
	a.start()
	a.step(t, "refused: tried again, with back-off", func(t *testing.T) {
		a.until("migrator", func(s api.Service) bool { return s.State == api.Backoff && s.Run >= 3 })
		require.Contains(t, a.service("frontend").WaitingFor, "migrator")
		act("")
		a.ready()
	})
	a.step(t, "dirty: failed, with the line and the repair", func(t *testing.T) {
		act("soiled")
		_, err := a.client.Restart(context.Background(), []string{"migrator"})
		require.NoError(t, err)
		failed()
		require.Contains(t, repair(), "dirty database: migration")
		require.Contains(t, repair(), "restore the backup")
	})
	a.step(t, "a new supervisor knows it too", func(t *testing.T) {
		st, _ := a.status()
		a.kill(st.PID)
		require.True(t, a.eventually(func() bool {
			now, err := a.client.Status(context.Background(), nil)
			return err == nil && now.Appliance.PID != st.PID
		}))
		failed()
		require.Contains(t, repair(), "restore the backup")
	})
	a.step(t, "mended: done", func(t *testing.T) {
		act("mended")
		begin()
		a.ready()
	})
	a.step(t, "killed midway: failed", func(t *testing.T) {
		act("killed")
		_, err := a.client.Restart(context.Background(), []string{"migrator"})
		require.NoError(t, err)
		require.Contains(t, failed().Reason, "signal KILL")
		require.Contains(t, repair(), "restore the backup")
		act("")
		begin()
		a.ready()
	})
}
