package e2e_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// secretsOf reads what the appliance has generated: contents by file, of those that are no mere numbers or names.
func (a *appliance) secretsOf() map[string]string {
	a.t.Helper()
	dir := filepath.Join(a.data(), "state", "secrets")
	found := map[string]string{}
	require.NoError(a.t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		require.Zero(a.t, info.Mode().Perm()&0o077, path)
		text, err := os.ReadFile(path)
		if secret := strings.TrimSpace(string(text)); len(secret) >= 12 {
			found[path] = secret
		}
		return err
	}))
	require.NotEmpty(a.t, found)
	return found
}

// TestSecretsStaySecret looks for the generated passwords wherever another user could read.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("one-user mode: all services share a user, and the grade says so")
	}
	const given = "https://sg:hush-of-the-environment@127.0.0.1:1/none.git"
	a := install(t)
	a.env = []string{"DEMO_REPOS=" + given, "SRC_LOG_LEVEL=debug"}
	a.up()
	needles := a.stockRunning()
	secrets := a.secretsOf()
	secrets["DEMO_REPOS"] = "hush-of-the-environment"
	has := func(text []byte, where string) {
		t.Helper()
		for path, secret := range secrets {
			require.NotContains(t, string(text), secret, "%s shows %s", where, path)
		}
	}

	t.Run("no argument shows one, and no environment one that is not its user's", func(t *testing.T) {
		a.t = t
		_, services := a.status()
		uids := map[int]string{}
		for pid, line := range a.living() {
			has([]byte(line), "the command line of "+line)
			info, err := os.Stat("/proc/" + strconv.Itoa(pid) + "/environ")
			if err != nil {
				continue // gone
			}
			require.Equal(t, fs.FileMode(0o400), info.Mode().Perm())
		}
		for name, s := range services {
			if s.PID == 0 {
				continue
			}
			uid := uidOf(t, s.PID)
			require.NotZero(t, uid, name)
			require.Empty(t, uids[uid], "%s shares its user with %s", name, uids[uid])
			uids[uid] = name
			environ, err := os.ReadFile("/proc/" + strconv.Itoa(s.PID) + "/environ")
			require.NoError(t, err)
			require.Equal(t, name == "worker", strings.Contains(string(environ), given), "%s and a variable of the appliance's environment that only worker knows", name)
			require.Equal(t, slices.Contains([]string{"frontend", "gitserver", "searcher", "worker"}, name), strings.Contains(string(environ), "SRC_LOG_LEVEL=debug"), name)
		}
		environ, err := os.ReadFile("/proc/" + strconv.Itoa(services["frontend"].PID) + "/environ")
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(slices.Collect(maps.Values(secrets)), func(s string) bool { return strings.Contains(string(environ), s) }),
			"the frontend has its password from where this test looks")
	})

	t.Run("a reload and another life of the supervisor find the same environment", func(t *testing.T) {
		a.t = t
		change, err := a.client.Reload(t.Context())
		require.NoError(t, err)
		require.Empty(t, change.Restarted)
		before := a.service("worker")
		appliance, _ := a.status()
		a.kill(appliance.PID)
		require.True(t, a.eventually(func() bool {
			st, err := a.client.Status(t.Context(), nil)
			return err == nil && st.Appliance.PID != appliance.PID
		}))
		_, err = a.client.Restart(t.Context(), []string{"worker"})
		require.NoError(t, err)
		after := a.service("worker")
		require.NotEqual(t, before.PID, after.PID)
		environ, err := os.ReadFile("/proc/" + strconv.Itoa(after.PID) + "/environ")
		require.NoError(t, err)
		require.Contains(t, string(environ), given)
	})

	t.Run("no log, no output, no configuration, no public answer shows one", func(t *testing.T) {
		a.t = t
		a.kill(a.service("postgres").PID) // so that all complain about it
		a.ready()
		a.answers("needle count:all", needles)
		has([]byte(a.out.String()), "the output of run")
		for _, dir := range []string{"logs", "run", "state"} {
			require.NoError(t, filepath.WalkDir(filepath.Join(a.data(), dir), func(path string, d fs.DirEntry, err error) error {
				if err != nil || !d.Type().IsRegular() || strings.Contains(path, "/secrets/") {
					return nil // a run directory changes while we look
				}
				info, err := d.Info()
				if err != nil || (dir != "logs" && info.Mode().Perm()&0o044 == 0) {
					return nil // its owner's alone
				}
				text, err := os.ReadFile(path)
				require.NoError(t, err)
				has(text, path)
				return nil
			}))
		}
		for _, path := range []string{"/", "/-/appliance/status", "/-/appliance/readyz", "/search"} {
			_, body := a.get(path)
			has([]byte(body), path)
		}
		conf, err := a.client.Config(t.Context())
		require.NoError(t, err)
		has(conf, "the configuration that the admin socket shows")
		status, err := a.client.Status(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, status.Appliance.SetupURL, "on loopback there is none")
	})
}

func uidOf(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\nUid:\t")
	require.True(t, found)
	uid, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	return uid
}
