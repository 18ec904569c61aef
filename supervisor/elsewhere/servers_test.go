package elsewhere

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

// nobody runs the servers of a test that is root: PostgreSQL refuses root.
const nobody = 65534

func bin(t *testing.T, name string) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	require.NoError(t, err)
	require.NotEmpty(t, found, "apt-get install postgresql")
	return found[len(found)-1]
}

func freePort(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = "/"
	c.Env = []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return c
}

// ownDir is a directory below the temporary one that the servers' user owns and can reach.
func ownDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "elsewhere")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Getuid() == 0 {
		require.NoError(t, os.Chown(dir, nobody, nobody))
	}
	return dir
}

// serve runs a server until the test ends.
func serve(t *testing.T, name string, args ...string) {
	t.Helper()
	c := command(t, name, args...)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGINT) // gone already is fine
		_ = c.Wait()
	})
}

// server is a PostgreSQL of the site's own.
type server struct {
	t    *testing.T
	dir  string
	port int
}

func newServer(t *testing.T) *server {
	s := &server{t: t, dir: filepath.Join(ownDir(t), "pg"), port: freePort(t)}
	c := command(t, bin(t, "initdb"), "-D", s.dir, "--username=admin", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	hba := "host all admin 127.0.0.1/32 trust\nhost replication admin 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "pg_hba.conf"), []byte(hba), 0o644))
	s.run()
	s.sql("postgres", "CREATE ROLE sg LOGIN PASSWORD 'right'", "CREATE DATABASE sg OWNER sg")
	return s
}

func (s *server) run() {
	s.t.Helper()
	serve(s.t, bin(s.t, "postgres"), "-D", s.dir, "-p", strconv.Itoa(s.port), "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "logging_collector=off")
	require.Eventually(s.t, func() bool {
		conn, err := s.connect("postgres")
		if err == nil {
			conn.Close(s.t.Context())
		}
		return err == nil
	}, 30*time.Second, 20*time.Millisecond)
}

func (s *server) connect(database string) (*pgconn.PgConn, error) {
	return pgconn.Connect(s.t.Context(), fmt.Sprintf("host=127.0.0.1 port=%d user=admin dbname=%s sslmode=disable", s.port, database))
}

func (s *server) sql(database string, statements ...string) {
	s.t.Helper()
	conn, err := s.connect(database)
	require.NoError(s.t, err)
	defer conn.Close(context.Background())
	for _, statement := range statements {
		require.NoError(s.t, conn.Exec(s.t.Context(), statement).Close(), statement)
	}
}

// standby is a second server that follows the first.
func (s *server) standby() *server {
	other := &server{t: s.t, dir: filepath.Join(ownDir(s.t), "pg"), port: freePort(s.t)}
	out, err := command(s.t, bin(s.t, "pg_basebackup"), "-D", other.dir, "-R", "-c", "fast", "-d", fmt.Sprintf("host=127.0.0.1 port=%d user=admin", s.port)).CombinedOutput()
	require.NoError(s.t, err, string(out))
	other.run()
	return other
}

// database is the site's entry for it, all right.
func (s *server) database() services.Database {
	return services.Database{Host: "127.0.0.1", Port: s.port, User: "sg", PasswordSecret: "pg", Name: "sg", SSLMode: "disable", MinMajor: 12}
}
