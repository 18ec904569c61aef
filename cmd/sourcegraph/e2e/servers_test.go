package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// serversUser runs the site's own servers of a test that is root: PostgreSQL refuses root.
const serversUser = 65534

// server is a PostgreSQL or Redis of the site's own, on loopback; it may be stopped and started.
type server struct {
	t    *testing.T
	dir  string
	port int
	argv []string
	cmd  *exec.Cmd
}

func newServer(t *testing.T) *server {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "e2e-server-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(dir, serversUser, serversUser))
	}
	_, port, err := net.SplitHostPort(freeAddr(t))
	require.NoError(t, err)
	s := &server{t: t, dir: dir}
	s.port, err = strconv.Atoi(port)
	require.NoError(t, err)
	t.Cleanup(s.stop)
	return s
}

func (s *server) command(argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: serversUser, Gid: serversUser}
	}
	return cmd
}

// start runs it until it accepts connections.
func (s *server) start() {
	s.t.Helper()
	s.cmd = s.command(s.argv...)
	require.NoError(s.t, s.cmd.Start())
	require.Eventually(s.t, func() bool {
		conn, err := net.Dial("tcp", s.address())
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, enough, 20*time.Millisecond)
}

// stop ends it with its clients' connections; INT is PostgreSQL's fast shutdown.
func (s *server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGINT) // gone already is fine
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// postgresPrograms is where the newest PostgreSQL of the machine lies.
func postgresPrograms(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	require.NoError(t, err)
	require.NotEmpty(t, found, "apt-get install postgresql")
	return found[len(found)-1]
}

const serverPassword = "p@ss'w:rd?%"

// newPostgres is a cluster with the user sg and three databases of his.
func newPostgres(t *testing.T) *server {
	t.Helper()
	s := newServer(t)
	data := filepath.Join(s.dir, "data")
	out, err := s.command(postgresPrograms(t)+"/initdb", "-D", data, "--username=admin", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync").CombinedOutput()
	require.NoError(t, err, string(out))
	hba := "host all admin 127.0.0.1/32 trust\nhost replication admin 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
	require.NoError(t, os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o644))
	s.argv = s.postgresIn(data)
	s.start()
	s.sql("CREATE ROLE sg LOGIN PASSWORD '"+strings.ReplaceAll(serverPassword, "'", "''")+"'", "CREATE DATABASE main OWNER sg", "CREATE DATABASE intel OWNER sg", "CREATE DATABASE insights OWNER sg")
	return s
}

func (s *server) postgresIn(data string) []string {
	return []string{postgresPrograms(s.t) + "/postgres", "-D", data, "-p", strconv.Itoa(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"}
}

// standby follows the server.
func (s *server) standby() *server {
	s.t.Helper()
	other := newServer(s.t)
	data := filepath.Join(other.dir, "data")
	out, err := s.command(postgresPrograms(s.t)+"/pg_basebackup", "-D", data, "-R", "-c", "fast", "-d", fmt.Sprintf("host=127.0.0.1 port=%d user=admin", s.port)).CombinedOutput()
	require.NoError(s.t, err, string(out))
	other.argv = other.postgresIn(data)
	other.start()
	return other
}

// sql runs statements as the superuser, once the server lets him in.
func (s *server) sql(statements ...string) {
	s.t.Helper()
	var conn *pgconn.PgConn
	require.Eventually(s.t, func() (ok bool) {
		var err error
		conn, err = pgconn.Connect(context.Background(), fmt.Sprintf("host=127.0.0.1 port=%d user=admin dbname=postgres sslmode=disable", s.port))
		return err == nil
	}, enough, 20*time.Millisecond)
	defer conn.Close(context.Background())
	for _, statement := range statements {
		require.NoError(s.t, conn.Exec(context.Background(), statement).Close(), statement)
	}
}

// newRedis is a server with a password; more are arguments.
func newRedis(t *testing.T, more ...string) *server {
	t.Helper()
	s := newServer(t)
	path, err := exec.LookPath("redis-server")
	require.NoError(t, err, "apt-get install redis-server")
	s.argv = append([]string{path, "--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--save", "", "--dir", s.dir, "--requirepass", serverPassword}, more...)
	s.start()
	return s
}

// database is an entry of postgres: in appliance.yaml.
func (s *server) database(name string) string {
	return fmt.Sprintf("{host: 127.0.0.1, port: %d, user: sg, password_secret: pg, database: %s, sslmode: disable}", s.port, name)
}

// redis is an entry of redis: in appliance.yaml.
func (s *server) redis() string {
	return fmt.Sprintf("{host: 127.0.0.1, port: %d, password_secret: redis-site}", s.port)
}
