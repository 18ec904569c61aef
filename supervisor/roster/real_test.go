package roster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

const (
	nobody  = 65534            // what a test that runs as root starts services as: initdb refuses root
	patient = 30 * time.Second // for a noisy machine
)

// machine runs instances of a plan as the engine would, without an engine.
type machine struct {
	t      *testing.T
	roster *Roster
	cred   *syscall.Credential
}

// newMachine loads the demo with PostgreSQL and Redis of the host, on ports that nobody uses.
func newMachine(t *testing.T) *machine {
	t.Helper()
	for _, program := range []string{"redis-server"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("needs " + program + " on this machine")
		}
	}
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres"); len(found) == 0 {
		t.Skip("needs PostgreSQL in /usr/lib/postgresql on this machine")
	}
	s := newSite(t, nil)
	dir := s.release("1.0.0", nil)
	require.NoError(t, os.Remove(filepath.Join(dir, "bin", "postgres")))
	require.NoError(t, os.Remove(filepath.Join(dir, "bin", "redis-server")))
	s.opts.DataDir = filepath.Join(s.dir, "data with spaces")
	m := &machine{t: t}
	if os.Getuid() == 0 {
		m.cred = &syscall.Credential{Uid: nobody, Gid: nobody, NoSetGroups: false}
		for dir := s.dir; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
			require.NoError(t, os.Chmod(dir, 0o755))
		}
	}
	m.roster = s.load()
	return m
}

// prepare expands an instance and makes what it needs, as nobody's.
func (m *machine) prepare(name string) services.Instance {
	m.t.Helper()
	inst, err := services.Expand(m.instance(name), m.roster.Secrets)
	require.NoError(m.t, err)
	for _, dir := range append([]services.Data{{Path: inst.RunDir}}, inst.Data...) {
		require.NoError(m.t, os.MkdirAll(filepath.Dir(dir.Path), 0o755))
		require.NoError(m.t, os.MkdirAll(dir.Path, 0o700))
		m.own(dir.Path)
	}
	for _, p := range inst.Prepare {
		if _, err := os.Stat(p.Creates); err == nil {
			continue
		}
		for _, step := range p.Steps {
			m.step(inst, step)
		}
		require.NoError(m.t, os.Rename(p.New(), p.Creates))
	}
	for _, f := range inst.Files {
		require.NoError(m.t, os.WriteFile(f.Path, []byte(f.Content), os.FileMode(f.Mode)))
		m.own(f.Path)
	}
	require.NoError(m.t, CheckBeforeStart(inst))
	return inst
}

func (m *machine) instance(name string) services.Instance {
	for _, inst := range m.roster.Plan.Instances {
		if inst.Name() == name {
			return inst
		}
	}
	m.t.Fatalf("no instance %s", name)
	return services.Instance{}
}

func (m *machine) own(path string) {
	if m.cred != nil {
		require.NoError(m.t, os.Chown(path, nobody, nobody))
	}
}

// step runs one command with its input in a pipe that belongs to the service's user.
func (m *machine) step(inst services.Instance, step services.Step) {
	m.t.Helper()
	in, feed, err := os.Pipe()
	require.NoError(m.t, err)
	defer in.Close()
	if m.cred != nil {
		require.NoError(m.t, in.Chown(nobody, nobody))
	}
	cmd := m.command(inst, step.Command)
	cmd.Stdin = in
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(m.t, cmd.Start())
	_, err = feed.WriteString(step.Stdin)
	require.NoError(m.t, err)
	require.NoError(m.t, feed.Close())
	require.NoError(m.t, cmd.Wait(), out.String())
	require.NotContains(m.t, out.String(), m.roster.Secrets["postgres"])
}

func (m *machine) command(inst services.Instance, argv []string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	m.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Dir = inst.Env, inst.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: m.cred, Setsid: true}
	return cmd
}

// start runs an instance, and stops it by its own rule at the end of the test, when it must end well.
func (m *machine) start(inst services.Instance) *exec.Cmd {
	m.t.Helper()
	cmd := m.command(inst, inst.Argv)
	log, err := os.Create(filepath.Join(m.t.TempDir(), "log"))
	require.NoError(m.t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(m.t, cmd.Start())
	m.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(inst.Stop.Signal) // already gone is fine
			_ = cmd.Wait()                           // the test has asserted what it wanted to
		}
		log.Close()
		if m.t.Failed() {
			content, _ := os.ReadFile(log.Name())
			m.t.Logf("log of %s:\n%s", inst.Name(), content)
		}
	})
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
	require.NoError(m.t, err)
	for _, secret := range m.roster.Secrets {
		require.NotContains(m.t, string(cmdline), secret)
	}
	return cmd
}

func connect(t *testing.T, env []string, prefix, password string) (*pgx.Conn, error) {
	t.Helper()
	get := func(name string) string {
		for _, v := range env {
			if value, ok := strings.CutPrefix(v, prefix+name+"="); ok {
				return value
			}
		}
		return ""
	}
	if password == "" {
		password = get("PGPASSWORD")
	}
	return pgx.Connect(t.Context(), fmt.Sprintf("postgres://%s:%s@%s:%s/%s?sslmode=%s", get("PGUSER"), password, get("PGHOST"), get("PGPORT"), get("PGDATABASE"), get("PGSSLMODE")))
}

func TestPostgresFromThePlan(t *testing.T) {
	m := newMachine(t)
	inst := m.prepare("postgres")
	inst.Argv = append(inst.Argv, "-c", "work_mem=16MB") // as services.postgres.args would
	cmd := m.start(inst)
	frontend, err := services.Expand(m.instance("frontend"), m.roster.Secrets)
	require.NoError(t, err)

	for _, prefix := range []string{"", "CODEINTEL_", "CODEINSIGHTS_"} {
		var conn *pgx.Conn
		require.Eventually(t, func() bool { conn, err = connect(t, frontend.Env, prefix, ""); return err == nil }, patient, 50*time.Millisecond)
		for setting, want := range map[string]string{
			"data_checksums": "on", "server_encoding": "UTF8", "lc_collate": "C.UTF-8", "TimeZone": "UTC", "listen_addresses": "127.0.0.1",
			"password_encryption": "scram-sha-256", "shared_buffers": "128MB", "max_connections": "100", "unix_socket_permissions": "0700",
			"work_mem": "16MB",
		} {
			var got string
			require.NoError(t, conn.QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&got))
			require.Equal(t, want, got, setting)
		}
		_, err = conn.Exec(t.Context(), "CREATE EXTENSION pg_trgm")
		require.NoError(t, err, "Sourcegraph's migrations create extensions")
		require.NoError(t, conn.Close(t.Context()))
	}
	_, err = connect(t, frontend.Env, "", "wrong")
	require.ErrorContains(t, err, "password authentication failed")

	held, err := connect(t, frontend.Env, "", "")
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(inst.Stop.Signal))
	require.NoError(t, cmd.Wait(), "a fast shutdown ends although a client is connected")
	require.Error(t, held.Ping(t.Context()))
}

func TestLeftoverPostmasterPID(t *testing.T) {
	m := newMachine(t)
	inst := m.prepare("postgres")
	inst.Argv = append(inst.Argv, "-c", "listen_addresses=") // no port that anybody may hold
	dir := inst.Prepare[0].Creates
	file := filepath.Join(dir, "postmaster.pid")
	leave := func(pid int) {
		require.NoError(t, os.WriteFile(file, []byte(fmt.Sprintf("%d\n%s\n", pid, dir)), 0o600))
		m.own(file)
	}
	other := exec.Command("sleep", "300")
	require.NoError(t, other.Start())
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()

	leave(other.Process.Pid) // after a reboot the pid may be anybody's
	require.NoError(t, CheckPostmasterPID(dir))
	require.NoFileExists(t, file)
	require.FileExists(t, fmt.Sprintf("/proc/%d/stat", other.Process.Pid), "nothing was done to it")

	dead := exec.Command("true")
	require.NoError(t, dead.Run())
	leave(dead.ProcessState.Pid())
	require.NoError(t, CheckPostmasterPID(dir))
	require.FileExists(t, file, "PostgreSQL itself looks for backends that survived")

	cmd := m.start(inst) // over the leftover of a dead one
	require.Eventually(t, func() bool {
		err := CheckPostmasterPID(dir)
		return code(err) == CodeRefused
	}, patient, 50*time.Millisecond, "a living server is refused")
	require.ErrorContains(t, CheckPostmasterPID(dir), fmt.Sprintf("process %d is a PostgreSQL that runs on %s", cmd.Process.Pid, dir))

	second := m.command(inst, inst.Argv)
	require.Error(t, second.Run(), "and PostgreSQL refuses as well")
}

func TestTornPostmasterPIDIsRemoved(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "postmaster.pid")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, CheckPostmasterPID(dir))
	require.NoFileExists(t, file)
}

func TestDataOfAnotherMajorIsRefused(t *testing.T) {
	m := newMachine(t)
	inst := m.instance("postgres")
	dir := inst.Prepare[0].Creates
	require.NoError(t, CheckBeforeStart(inst), "nothing there yet")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "PG_VERSION"), []byte("12\n"), 0o600))
	err := CheckBeforeStart(inst)
	require.Equal(t, CodeInvalid, code(err))
	require.ErrorContains(t, err, "the data in "+dir+" was made by PostgreSQL 12, but "+inst.Program+" is PostgreSQL ")
	require.Contains(t, err.(*OtherMajor).Hint(), "postgresql-12")
}

func TestRedisFromThePlan(t *testing.T) {
	m := newMachine(t)
	for service, want := range map[string]map[string]string{
		"redis-cache": {"maxmemory-policy": "allkeys-lru", "appendonly": "no", "save": "60 1", "bind": "127.0.0.1"},
		"redis-store": {"maxmemory-policy": "noeviction", "appendonly": "yes", "save": "300 1", "bind": "127.0.0.1"},
	} {
		inst := m.prepare(service)
		cmd := m.start(inst)
		options, err := redis.ParseURL(m.endpoint(service))
		require.NoError(t, err)
		client := redis.NewClient(options)
		defer client.Close()
		require.Eventually(t, func() bool { return client.Ping(t.Context()).Err() == nil }, patient, 20*time.Millisecond)
		for setting, value := range want {
			got, err := client.ConfigGet(t.Context(), setting).Result()
			require.NoError(t, err)
			require.Equal(t, value, got[setting], setting)
		}
		require.NoError(t, client.Set(t.Context(), "k", "v", 0).Err())

		options.Password = ""
		open := redis.NewClient(options)
		defer open.Close()
		require.ErrorContains(t, open.Ping(t.Context()).Err(), "NOAUTH")

		require.NoError(t, cmd.Process.Signal(inst.Stop.Signal))
		require.NoError(t, cmd.Wait(), "it saves and ends well")
		m.start(inst)
		require.Eventually(t, func() bool { v, err := client.Get(t.Context(), "k").Result(); return err == nil && v == "v" }, patient, 20*time.Millisecond, "%s kept it", service)
	}
}

// endpoint is the URL that the frontend gets.
func (m *machine) endpoint(service string) string {
	frontend, err := services.Expand(m.instance("frontend"), m.roster.Secrets)
	require.NoError(m.t, err)
	name := strings.ToUpper(strings.ReplaceAll(service, "-", "_")) + "_ENDPOINT="
	for _, v := range frontend.Env {
		if url, ok := strings.CutPrefix(v, name); ok {
			return url
		}
	}
	return ""
}

func TestVersionOfProgram(t *testing.T) {
	for says, want := range map[string]string{"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)": "15", "postgres (PostgreSQL) 9.6.24": "9.6", "postgres (PostgreSQL) 17beta1": "17"} {
		program := filepath.Join(t.TempDir(), "postgres")
		require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\necho "+strconv.Quote(says)+"\n"), 0o755))
		got, err := programMajor(program)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}
