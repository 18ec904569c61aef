package migrator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sourcegraph/appliance/cmd/demo/internal/backing"
)

func connect(t *testing.T, dsn string) *pgx.Conn {
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func state(t *testing.T, conn *pgx.Conn) State {
	s, err := Read(t.Context(), conn)
	require.NoError(t, err)
	return s
}

var (
	first  = Migration{1, "first", "CREATE TABLE a (n int)"}
	second = Migration{2, "second", "CREATE TABLE b (n int); INSERT INTO b VALUES (1)"}
	broken = Migration{2, "broken", "CREATE TABLE b (n int); INSERT INTO nowhere VALUES (1)"}
)

func TestMigrations(t *testing.T) {
	pg := backing.StartPostgres(t)

	t.Run("the embedded ones apply once", func(t *testing.T) {
		conn := connect(t, pg.NewDatabase(t, "embedded"))
		migrations, err := Embedded()
		require.NoError(t, err)
		require.Equal(t, Outdated{0, len(migrations)}, Check(t.Context(), conn))
		var out bytes.Buffer
		require.NoError(t, Up(t.Context(), conn, migrations, &out))
		require.Contains(t, out.String(), "migrated to version 1: first")
		out.Reset()
		require.NoError(t, Up(t.Context(), conn, migrations, &out))
		require.Equal(t, fmt.Sprintf("schema is at version %d\n", len(migrations)), out.String())
		require.NoError(t, Check(t.Context(), conn))
	})

	t.Run("users of the first releases stay", func(t *testing.T) {
		conn := connect(t, pg.NewDatabase(t, "users"))
		migrations, err := Embedded()
		require.NoError(t, err)
		require.NoError(t, Up(t.Context(), conn, migrations[:2], new(bytes.Buffer)))
		_, err = conn.Exec(t.Context(), `INSERT INTO users (username, email, password_hash, site_admin) VALUES ('root', 'Root@example.com', '$2a$hash', true);
			UPDATE site SET initialized_at = now()`)
		require.NoError(t, err)
		require.NoError(t, Up(t.Context(), conn, migrations, new(bytes.Buffer)))
		var passwd, email string
		var initialized bool
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT passwd, email, initialized FROM users JOIN user_emails ON user_id = id AND is_primary, global_state`).Scan(&passwd, &email, &initialized))
		require.Equal(t, "$2a$hash Root@example.com true", fmt.Sprint(passwd, " ", email, " ", initialized))
	})

	t.Run("a newer schema is fine for an older release", func(t *testing.T) {
		conn := connect(t, pg.NewDatabase(t, "newer"))
		embedded, err := Embedded()
		require.NoError(t, err)
		newer := []Migration{first, second}
		for len(newer) <= len(embedded) {
			newer = append(newer, Migration{len(newer) + 1, "more", "SELECT 1"})
		}
		require.NoError(t, Up(t.Context(), conn, newer, new(bytes.Buffer)))
		require.NoError(t, Check(t.Context(), conn))
		require.NoError(t, Up(t.Context(), conn, []Migration{first}, new(bytes.Buffer)))
		require.Equal(t, State{Version: len(newer)}, state(t, conn))
	})

	t.Run("a failing one leaves the database dirty, unchanged and repairable", func(t *testing.T) {
		conn := connect(t, pg.NewDatabase(t, "failing"))
		err := Up(t.Context(), conn, []Migration{first, broken}, new(bytes.Buffer))
		require.ErrorContains(t, err, "nowhere")
		require.Equal(t, State{Version: 1, Dirty: 2}, state(t, conn))
		for range 2 { // every later run refuses, and names the repair
			err = Up(t.Context(), conn, []Migration{first, second}, new(bytes.Buffer))
			require.ErrorIs(t, err, DirtyDatabase(2))
			require.Contains(t, DirtyDatabase(2).Hint(), "migrator force 1")
		}
		require.Equal(t, DirtyDatabase(2), Check(t.Context(), conn))
		require.NoError(t, Force(t.Context(), conn, 1))
		require.NoError(t, Up(t.Context(), conn, []Migration{first, second}, new(bytes.Buffer)), "nothing of the broken one is left")
	})

	t.Run("a killed one leaves the database dirty", func(t *testing.T) {
		dsn := pg.NewDatabase(t, "killed")
		conn := connect(t, dsn)
		suicide := Migration{2, "suicide", "CREATE TABLE b (n int); SELECT pg_terminate_backend(pg_backend_pid())"}
		require.Error(t, Up(t.Context(), conn, []Migration{first, suicide}, new(bytes.Buffer)))
		conn = connect(t, dsn)
		require.Equal(t, State{Version: 1, Dirty: 2}, state(t, conn))
		require.ErrorIs(t, Up(t.Context(), conn, []Migration{first, second}, new(bytes.Buffer)), DirtyDatabase(2), "the dead one's lock is gone")
	})

	t.Run("eight at once are safe", func(t *testing.T) {
		dsn := pg.NewDatabase(t, "many")
		var g errgroup.Group
		for range 8 {
			conn := connect(t, dsn)
			g.Go(func() error { return Up(t.Context(), conn, []Migration{first, second}, new(bytes.Buffer)) })
		}
		require.NoError(t, g.Wait())
		var n int
		require.NoError(t, connect(t, dsn).QueryRow(t.Context(), "SELECT count(*) FROM b").Scan(&n))
		require.Equal(t, 1, n)
	})

	t.Run("a stop ends it between two migrations and is no success", func(t *testing.T) {
		conn := connect(t, pg.NewDatabase(t, "stopped"))
		ctx, cancel := context.WithCancel(t.Context())
		err := Up(ctx, conn, []Migration{first, second}, writerFunc(func() { cancel() }))
		require.ErrorContains(t, err, "before migration 2")
		require.False(t, errors.Is(err, context.Canceled), "exit code 0 would mean done")
		require.Equal(t, State{Version: 1}, state(t, conn))
	})

	t.Run("the commands", func(t *testing.T) {
		pg.NewDatabase(t, "commands")
		for _, kv := range [][2]string{{"PGHOST", pg.Dir}, {"PGUSER", "sg"}, {"PGPASSWORD", backing.Password}, {"PGDATABASE", "commands"}, {"PGSSLMODE", "disable"}} {
			t.Setenv(kv[0], kv[1])
		}
		require.Equal(t, 0, Main([]string{"up"}))
		require.Equal(t, 0, Main([]string{"version"}))
		require.Equal(t, 0, Main([]string{"force", "0"}))
		require.Equal(t, 2, Main([]string{"force", "99"}))
		require.Equal(t, 2, Main([]string{"down"}))
		t.Setenv("PGPASSWORD", "wrong")
		require.Equal(t, 1, Main([]string{"up"}), "a wrong password is not waited for")
		t.Setenv("PGHOST", t.TempDir())
		t.Setenv("DB_STARTUP_TIMEOUT", "50ms")
		require.Equal(t, 1, Main([]string{"up"}))
		t.Setenv("DB_STARTUP_TIMEOUT", "soon")
		require.NotEqual(t, 0, Main([]string{"up"}))
	})
}

// writerFunc calls itself at each write.
type writerFunc func()

func (f writerFunc) Write(p []byte) (int, error) { f(); return len(p), nil }

func TestLoadRefusesGapsAndOddNames(t *testing.T) {
	for name, tc := range map[string]struct {
		files   []string
		wantErr string
	}{
		"in order": {files: []string{"0002_b.sql", "0001_a.sql"}},
		"gap":      {files: []string{"0001_a.sql", "0003_c.sql"}, wantErr: "want version 2"},
		"double":   {files: []string{"0001_a.sql", "0001_b.sql"}, wantErr: "want version 2"},
		"odd name": {files: []string{"1-a.sql"}, wantErr: "want a name such as"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := fstest.MapFS{}
			for _, f := range tc.files {
				dir[f] = &fstest.MapFile{Data: []byte("SELECT 1")}
			}
			all, err := Load(dir)
			if tc.wantErr != "" {
				require.ErrorContains(t, err, tc.wantErr)
				return
			}
			require.NoError(t, err)
			require.Len(t, all, len(tc.files))
		})
	}
}
