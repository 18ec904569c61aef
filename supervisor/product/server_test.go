package product

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// nobody runs PostgreSQL when the test is root, whom it refuses.
const nobody = 65534

// server is a PostgreSQL on a unix socket that all tests share.
type server struct {
	dir string
	cmd *exec.Cmd
}

// running makes one when the first test needs it; TestMain ends it.
var running = sync.OnceValues(func() (server, error) {
	bins, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(bins) == 0 {
		return server{}, err
	}
	bin := bins[len(bins)-1]
	dir, err := os.MkdirTemp("", "product")
	if err == nil && os.Getuid() == 0 {
		err = os.Chown(dir, nobody, nobody)
	}
	if err != nil {
		return server{dir: dir}, err
	}
	out, err := as(exec.Command(bin+"/initdb", "-D", dir+"/data", "--username=admin", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")).CombinedOutput()
	if err != nil {
		return server{dir: dir}, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	c := as(exec.Command(bin+"/postgres", "-D", dir+"/data", "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off"))
	return server{dir, c}, c.Start()
})

var used bool // by a test

func TestMain(m *testing.M) {
	code := m.Run()
	if !used {
		os.Exit(code)
	}
	s, _ := running() // a failure was the tests' to tell
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Signal(syscall.SIGINT) // gone already is fine
		_ = s.cmd.Wait()
	}
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
	os.Exit(code)
}

func theServer(t *testing.T) server {
	t.Helper()
	used = true
	s, err := running()
	require.NoError(t, err)
	if s.cmd == nil {
		t.Skip("no PostgreSQL in /usr/lib/postgresql/*/bin")
	}
	require.Eventually(t, func() bool {
		conn, err := pgx.Connect(t.Context(), s.dsn("admin", "postgres"))
		if err == nil {
			conn.Close(t.Context())
		}
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)
	s.sql(t, "admin", "postgres", `DO $$ BEGIN CREATE ROLE sg LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
	return s
}

func as(c *exec.Cmd) *exec.Cmd {
	c.Dir, c.Env = "/", []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return c
}

func (s server) dsn(user, database string) string {
	return fmt.Sprintf("host=%s user=%s dbname=%s sslmode=disable", s.dir, user, database)
}

func (s server) sql(t *testing.T, user, database string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.dsn(user, database))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	for _, statement := range statements {
		_, err := conn.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
}

// of makes a database with the schema of the files, one on the other, which frontend's user owns and is no superuser of.
func (s server) of(t *testing.T, name string, files ...string) {
	t.Helper()
	s.sql(t, "admin", "postgres", "CREATE DATABASE "+name+" OWNER sg")
	for _, file := range files {
		text, err := os.ReadFile("testdata/" + file + ".sql")
		require.NoError(t, err)
		s.sql(t, "sg", name, string(text))
	}
}

func (s server) open(t *testing.T, name string, dry bool) *DB {
	t.Helper()
	db, err := Open(t.Context(), []string{"PGHOST=" + s.dir, "PGPORT=5432", "PGUSER=sg", "PGPASSWORD=it's \\ odd", "PGDATABASE=" + name, "PGSSLMODE=disable"}, dry)
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// row is one row of a question, as texts.
func (s server) row(t *testing.T, name, question string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.dsn("sg", name))
	require.NoError(t, err)
	defer conn.Close(context.Background())
	var text string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT (t.*)::text FROM ("+question+") t").Scan(&text), question)
	return text
}
