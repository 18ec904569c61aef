package probe

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

// nobody is the user that real servers run as when we are root: PostgreSQL refuses root.
const nobody = 65534

func ordinaryUser(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		c.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
}

// userDir is a directory of the ordinary user, short enough for sockets.
func userDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "probe-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(dir, nobody, nobody))
	}
	return dir
}

func program(t *testing.T, name string, globs ...string) string {
	t.Helper()
	for _, glob := range globs {
		if found, _ := filepath.Glob(filepath.Join(glob, name)); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("not installed: " + name)
	}
	return path
}

// background starts a server in dir and ends it with the test.
func background(t *testing.T, stop syscall.Signal, dir, name string, args ...string) {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=" + dir}
	log, err := os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	defer log.Close()
	c.Stdout, c.Stderr = log, log
	ordinaryUser(c)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Signal(stop)
		timer := time.AfterFunc(patience, func() { _ = c.Process.Kill() })
		defer timer.Stop()
		_ = c.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("%s", text)
		}
	})
}

func eventually(t *testing.T, p services.Probe, target Target, want func(Result) bool) Result {
	t.Helper()
	var r Result
	require.Eventually(t, func() bool {
		r = do(t, p, target)
		return want(r)
	}, patience, 5*time.Millisecond, "last: %v", &r)
	return r
}

func ok(r Result) bool { return r.OK }

func TestRealPostgres(t *testing.T) {
	bin := filepath.Dir(program(t, "initdb", "/usr/lib/postgresql/*/bin"))
	dir := userDir(t)
	require.NoError(t, os.WriteFile(dir+"/password", []byte("secret\n"), 0o644))
	initdb := exec.Command(bin+"/initdb", "-D", dir+"/db", "-U", "sg", "-A", "scram-sha-256", "--pwfile", dir+"/password", "-N", "-E", "UTF8", "--locale=C.UTF-8")
	initdb.Dir, initdb.Env = dir, []string{"PATH=/usr/bin:/bin", "HOME=" + dir}
	ordinaryUser(initdb)
	out, err := initdb.CombinedOutput()
	require.NoError(t, err, "%s", out)

	probe := services.Probe{Postgres: true}
	for name, tc := range map[string]struct {
		standby bool
		want    func(Result) bool
	}{
		"a demand for a password is ready": {false, ok},
		"recovery is not":                  {true, func(r Result) bool { return strings.HasSuffix(r.Detail, "(57P03)") }},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.standby {
				require.NoError(t, os.WriteFile(dir+"/db/standby.signal", nil, 0o644))
			}
			address := closedPort(t)
			_, port, err := net.SplitHostPort(address)
			require.NoError(t, err)
			require.Contains(t, do(t, probe, at(address)).Detail, "connection refused")
			background(t, syscall.SIGINT, dir, bin+"/postgres", "-D", dir+"/db", "-p", port, "-k", dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "hot_standby=off")
			eventually(t, probe, at(address), tc.want)
			for range 3 {
				require.Equal(t, !tc.standby, do(t, probe, at(address)).OK)
			}
			if !tc.standby {
				log, err := os.ReadFile(dir + "/log")
				require.NoError(t, err)
				require.NotContains(t, string(log), "password authentication", "a probe leaves no line behind")
				require.NotContains(t, string(log), "expected SASL")
			}
			require.True(t, do(t, services.Probe{TCP: true}, at(address)).OK, "TCP says nothing")
		})
		if tc.standby {
			require.NoError(t, os.Remove(dir+"/db/standby.signal"))
		}
	}
}

func TestRealRedis(t *testing.T) {
	server := program(t, "redis-server")
	for name, args := range map[string][]string{"open": nil, "with a password": {"--requirepass", "secret"}} {
		t.Run(name, func(t *testing.T) {
			dir, address := userDir(t), closedPort(t)
			_, port, err := net.SplitHostPort(address)
			require.NoError(t, err)
			background(t, syscall.SIGTERM, dir, server, append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", dir}, args...)...)
			eventually(t, services.Probe{Redis: true}, at(address), ok)
		})
	}
}

func TestRedisAnswers(t *testing.T) {
	for answer, want := range map[string]string{
		"+PONG\r\n":                            "",
		"-NOAUTH Authentication required.\r\n": "",
		"-LOADING Redis is loading the dataset in memory\r\n": ": -LOADING Redis is loading the dataset in memory",
		"-MASTERDOWN Link with MASTER is down\r\n":            ": -MASTERDOWN Link with MASTER is down",
		"HTTP/1.1 400 Bad Request":                            ": closed in the middle of an answer: HTTP/1.1 400 Bad Request",
		"":                                                    ": closed without an answer",
	} {
		address := server(t, says(answer))
		require.Equal(t, "redis PING "+address+want, do(t, services.Probe{Redis: true}, at(address)).Detail)
	}
}

func TestPostgresAnswers(t *testing.T) {
	refusal := func(fields ...string) string {
		body := strings.Join(fields, "\x00") + "\x00\x00"
		return string([]byte{'E', 0, 0, 0, byte(len(body) + 4)}) + body
	}
	for answer, want := range map[string]string{
		"R\x00\x00\x00\x08\x00\x00\x00\x00":                                "",
		"R\x00\x00\x00\x08\x00\x00\x00\x05":                                "",
		refusal("SFATAL", "C28000", "Mno pg_hba.conf entry for host"):      "",
		refusal("SFATAL", "C57P03", "Mthe database system is starting up"): ": the database system is starting up (57P03)",
		refusal("SFATAL", "C53300", "Msorry, too many clients already"):    ": sorry, too many clients already (53300)",
		refusal("Mx"):       ": not PostgreSQL: E????Mx??",
		"HTTP/1.1 400":      ": not PostgreSQL: HTTP/1.1 400",
		"E\x00\x00":         ": closed in the middle of an answer: E??",
		"E\x00\x00\x00\x00": ": not PostgreSQL: E????",
		"R\xff\xff\xff\xff": ": closed in the middle of an answer: R?",
		"":                  ": closed without an answer",
	} {
		address := server(t, says(answer))
		require.Equal(t, "postgres "+address+want, do(t, services.Probe{Postgres: true}, at(address)).Detail)
	}
}
