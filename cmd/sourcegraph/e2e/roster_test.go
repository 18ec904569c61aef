package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// standIns compiles cmd/standin once, and asks it which programs it is.
var standIns = sync.OnceValues(func() (programs []string, err error) {
	b, err := build()
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(b.dir, "standin")
	if err := compile(binary, "0", "./cmd/standin"); err != nil {
		return nil, err
	}
	out, err := exec.Command(binary).Output()
	return strings.Fields(string(out)), err
})

// standInRelease is a release of Sourcegraph whose every program is a stand-in; PostgreSQL and Redis are the host's.
func standInRelease(t *testing.T, version string) string {
	t.Helper()
	programs, err := standIns()
	require.NoError(t, err)
	b, err := build()
	require.NoError(t, err)
	dir := filepath.Join(b.dir, "standins", version)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	for _, p := range programs {
		require.NoError(t, os.Link(filepath.Join(b.dir, "standin"), filepath.Join(dir, "bin", p)))
	}
	manifest := fmt.Sprintf(`{"schema": 1, "product": "sourcegraph", "version": %q, "arch": %q}`, version, runtime.GOARCH)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifest.json"), []byte(manifest), 0o644))
	return dir
}

// TestWholeRoster runs every service of each family on stand-ins, which end when they lack what the real ones need: with nothing said but the
// release. Then they are killed, told another database, and stopped.
func TestWholeRoster(t *testing.T) {
	for version, names := range map[string]string{
		"3.38.0":   "minio github-proxy repo-updater symbols",
		"5.2.7":    "blobstore github-proxy repo-updater symbols node-exporter",
		"6.3.4167": "blobstore repo-updater symbols syntactic-code-intel-worker",
		"7.5.4453": "blobstore syntactic-code-intel-worker",
	} {
		t.Run(version, func(t *testing.T) {
			a := install(t)
			a.b.release = standInRelease(t, version)
			a.top = "allow_old_postgres: true\n" // what a stand-in needs any PostgreSQL can do, and this machine's may be 15
			a.configureAll(nil)
			a.up()
			_, services := a.status()
			for _, name := range strings.Fields("frontend gitserver searcher worker migrator zoekt-webserver zoekt-sourcegraph-indexserver syntax-highlighter precise-code-intel-worker prometheus grafana " + names) {
				require.Equal(t, api.Ready, services[name].State, name)
				require.EqualValues(t, 1, services[name].Run, "%s needed a second try", name)
			}
			a.step(t, "nothing but the front door can be reached from outside", func(t *testing.T) { a.requireLoopback() })
			a.step(t, "a port that forwards is not probed", func(t *testing.T) {
				text, _ := os.ReadFile(filepath.Join(a.data(), "logs", "github-proxy", "current")) // not there: nothing was said, or no such service
				require.NotContains(t, string(text), "forwarded")
			})
			a.step(t, "another database: those that took its address end, and that counts as no failure", func(t *testing.T) { a.moveDatabase() })
			a.step(t, "random kills", func(t *testing.T) { a.killAtRandom(8) })
			a.noteCgroup()
			require.Equal(t, 0, a.stop(), a.out)
			a.requireNothingLeft()
			a.requireOrderOfStop()
		})
	}
}

// requireLoopback looks at every socket that listens, as the kernel knows it.
func (a *appliance) requireLoopback() {
	a.t.Helper()
	listening := map[string]string{} // inode → address
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		require.NoError(a.t, err)
		for _, line := range strings.Split(string(text), "\n")[1:] {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" { // TCP_LISTEN
				listening[f[9]] = f[1]
			}
		}
	}
	st, _ := a.status()
	found := 0
	for pid, line := range a.living() {
		fds, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
		for _, fd := range fds {
			to, _ := os.Readlink(fd) // closed meanwhile: no listener
			address, ok := listening[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")]
			if !ok || pid == st.DoorPID || pid == st.Stage0PID || pid == st.PID {
				continue
			}
			found++
			require.Contains(a.t, []string{"0100007F", "0000000000000000FFFF00000100007F"}, strings.Split(address, ":")[0], "%s listens at %s", line, address)
		}
	}
	require.Greater(a.t, found, 20, "the look found the listeners") // one of those that were killed may be away
}

// moveDatabase gives PostgreSQL another port: frontend is restarted and tells the others, who end with the line that says so.
func (a *appliance) moveDatabase() {
	a.t.Helper()
	before := a.service("gitserver")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(a.t, err)
	port := ln.Addr().(*net.TCPAddr).Port
	ln.Close()
	a.configure("postgres", fmt.Sprintf("ports: {postgres: %d}", port))
	a.reload()
	s := a.until("gitserver", func(s api.Service) bool { return s.Run > before.Run && s.State == api.Ready })
	a.ready()
	require.Equal(a.t, before.Restarts+1, s.Restarts)
	require.NotContains(a.t, a.history("gitserver"), "backoff", "an expected end is no failure")
	text := a.logOf("gitserver")
	require.Contains(a.t, text, "Detected settings change")
	for _, secret := range a.secretsOf() {
		require.NotContains(a.t, text, secret)
	}
}

// killAtRandom kills services, stage 1 among them, and waits until all is well again.
func (a *appliance) killAtRandom(n int) {
	a.t.Helper()
	seed := rand.Uint64()
	a.t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range n {
		st, services := a.status()
		pids := []int{st.PID}
		for _, s := range services {
			if s.PID > 0 && s.Kind != "oneshot" {
				pids = append(pids, s.PID)
			}
		}
		slices.Sort(pids)
		var killed []int
		for range 1 + r.IntN(3) {
			killed = append(killed, pids[r.IntN(len(pids))])
			_ = syscall.Kill(killed[len(killed)-1], syscall.SIGKILL) // gone already: killed twice
		}
		require.True(a.t, a.eventually(func() bool { // else what was killed may still be called ready
			st, err := a.client.Status(a.t.Context(), nil)
			return err == nil && !slices.Contains(killed, st.Appliance.PID) &&
				!slices.ContainsFunc(st.Services, func(s api.Service) bool { return slices.Contains(killed, s.PID) })
		}), "%v", killed)
		a.ready()
	}
	a.requireLoopback()
}

// requireOrderOfStop reads from the output that what needs another was stopped before it.
func (a *appliance) requireOrderOfStop() {
	a.t.Helper()
	text := a.out.String()
	at := func(name string) int {
		i := strings.LastIndex(text, " "+name+" is stopped")
		require.Positive(a.t, i, name)
		return i
	}
	for _, pair := range [][2]string{
		{"gitserver", "frontend"}, {"worker", "frontend"}, {"searcher", "frontend"}, {"precise-code-intel-worker", "frontend"},
		{"frontend", "postgres"}, {"frontend", "redis-store"}, {"frontend", "redis-cache"},
	} {
		require.Less(a.t, at(pair[0]), at(pair[1]), "%s before %s", pair[0], pair[1])
	}
}

// TestKilledMigratorIsNotRunAgain kills it in the middle of a migration: the database is dirty, and nobody but a person decides what follows.
func TestKilledMigratorIsNotRunAgain(t *testing.T) {
	a := install(t)
	a.b.release = standInRelease(t, "3.38.0")
	a.configure("migrator", "env: {STANDIN_MIGRATION: 1h}") // a database so big that no test sees the end of it
	a.start()
	m := a.until("migrator", func(s api.Service) bool { return s.PID > 0 })
	require.True(t, a.eventually(func() bool {
		text, _ := os.ReadFile(filepath.Join(a.data(), "logs", "migrator", "current")) // not there yet: not migrating yet
		return strings.Contains(string(text), "migrating")
	}))
	a.kill(m.PID)
	s := a.until("migrator", func(s api.Service) bool { return s.State == api.Failed })
	require.EqualValues(t, m.Run, s.Run)
	require.Equal(t, api.Waiting, a.service("frontend").State)
	code, text := a.say("why", "frontend")
	require.Equal(t, 0, code, text)
	require.Contains(t, text, "migrator")
	require.Contains(t, text, "dirty")

	// A person who starts it all the same learns from the program itself that it is no use.
	code, text = a.say("start", "migrator")
	require.Equal(t, 3, code, text)
	s = a.until("migrator", func(s api.Service) bool { return s.Run > m.Run && s.State == api.Failed })
	require.Contains(t, a.logOf("migrator"), "dirty database")
	require.Equal(t, 0, a.stop(), a.out)
}

// TestExposedPortsAreRefusedOnAHost runs, as a user for whom the kernel does not do it, a family with constant ports that only the kernel keeps on loopback.
func TestExposedPortsAreRefusedOnAHost(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user; what runs here is an ordinary user already")
	}
	a := install(t)
	a.b.release = standInRelease(t, "5.2.7")
	a.asStranger()
	a.start()
	require.Equal(t, 2, a.exit())
	require.Contains(t, a.out.String(), "precise-code-intel-worker listens on all interfaces with its port http, 127.0.0.1:3188")
	require.Contains(t, a.out.String(), "allow_exposed_ports: true")
	require.Empty(t, a.living())

	require.NoError(t, os.WriteFile(filepath.Join(a.conf(), "appliance.yaml"), []byte("allow_exposed_ports: true\n"), 0o644))
	a.start()
	require.True(t, a.eventually(func() bool {
		st, err := a.client.Status(t.Context(), nil)
		return err == nil && strings.Contains(strings.Join(st.Appliance.Grade.Why, " "), "can be reached from other machines")
	}), a.out)
	require.Equal(t, 0, a.stop(), a.out)
}
