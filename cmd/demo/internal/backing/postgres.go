package backing

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// nobody is who runs PostgreSQL when the test runs as root, which PostgreSQL refuses to be.
const nobody = 65534

// Password of the superuser sg; it has characters that a careless URL would break at.
const Password = "p@ss/w:rd?%"

// Postgres is a server that lives as long as the test.
type Postgres struct {
	Dir string // holds its unix socket
	cmd *exec.Cmd
	end chan struct{}
}

// StartPostgres starts a server on a unix socket, or skips the test where PostgreSQL is not installed.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	bins, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(bins) == 0 {
		t.Skip("no PostgreSQL in /usr/lib/postgresql/*/bin")
	}
	bin := bins[len(bins)-1]
	dir := directory(t)
	run(t, bin+"/initdb", "-D", dir+"/data", "-U", "sg", "--pwfile="+write(t, dir+"/password", Password), "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "-N")
	p := &Postgres{Dir: dir}
	p.cmd = as(exec.Command(bin+"/postgres", "-D", dir+"/data", "-k", dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=60"))
	p.end = start(t, p.cmd)
	t.Cleanup(func() { stop(t, p.cmd, p.end, syscall.SIGINT) })
	eventually(t, "PostgreSQL answers", func() error {
		conn, err := pgx.Connect(context.Background(), p.DSN("postgres"))
		if err != nil {
			return err
		}
		return conn.Close(context.Background())
	})
	return p
}

// DSN is the address of a database.
func (p *Postgres) DSN(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("sg", Password), Path: "/" + database, RawQuery: url.Values{"host": {p.Dir}, "sslmode": {"disable"}}.Encode()}
	return u.String()
}

// Env is the environment that leads to a database.
func (p *Postgres) Env(database string) []string {
	return []string{"PGHOST=" + p.Dir, "PGPORT=5432", "PGUSER=sg", "PGPASSWORD=" + Password, "PGDATABASE=" + database, "PGSSLMODE=disable"}
}

// NewDatabase makes an empty database and gives its address.
func (p *Postgres) NewDatabase(t testing.TB, name string) string {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), p.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		t.Fatal(err)
	}
	return p.DSN(name)
}

// directory is like t.TempDir, but another user may pass through it.
func directory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "backing-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func write(t testing.TB, file, content string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// as makes a command run as nobody when we are root.
func as(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	cmd.Env = slices.Concat(os.Environ(), []string{"HOME=/tmp"})
	cmd.Dir = "/"
	return cmd
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := as(exec.Command(name, args...)).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// start starts a server; the channel is closed when it is gone. Its output is shown when the test fails.
func start(t testing.TB, cmd *exec.Cmd) chan struct{} {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	go func() {
		cmd.Wait() // how it ended is the test's to judge, by what it meets
		close(end)
	}()
	t.Cleanup(func() {
		<-end
		if t.Failed() {
			t.Logf("%s:\n%s", cmd.Path, out.String())
		}
	})
	return end
}

func stop(t testing.TB, cmd *exec.Cmd, end chan struct{}, s syscall.Signal) {
	t.Helper()
	cmd.Process.Signal(s) // an error says that it is gone
	select {
	case <-end:
	case <-time.After(20 * time.Second):
		cmd.Process.Kill()
		t.Errorf("%s did not end within 20 s of %s", cmd.Path, s)
	}
}

func eventually(t testing.TB, what string, try func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Fatal(fmt.Errorf("not within 30 s: %s: %w", what, err))
}
