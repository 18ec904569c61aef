package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// strangerUID has no passwd entry on any machine that we know of.
const strangerUID = 54321

// TestOrdinaryUser runs everything as a user without a passwd entry, where libnss_wrapper is there to give it one.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user; what runs here is an ordinary user already")
	}
	t.Parallel()
	a := install(t)
	uid := a.asStranger()
	needles := a.stock()
	st, services := a.status()
	require.Equal(t, "partial", st.Grade.Isolation)
	require.Contains(t, strings.Join(st.Grade.Why, " "), "share one user")
	for name, s := range services {
		if s.PID > 0 {
			require.Equal(t, int(uid), uidOf(t, s.PID), name)
		}
	}

	a.step(t, "kill -9 of services and of stage 1", func(t *testing.T) {
		for _, name := range []string{"postgres", "frontend", "gitserver"} {
			old := a.service(name)
			a.kill(old.PID)
			a.until(name, func(s api.Service) bool { return s.Run > old.Run && s.State == api.Ready })
		}
		before, services := a.status()
		a.kill(before.PID)
		a.ready()
		_, now := a.status()
		require.Equal(t, services["postgres"].PID, now["postgres"].PID)
		a.answers("needle count:all", needles)
	})

	a.step(t, "stop, and start again", func(t *testing.T) {
		require.Equal(t, 0, a.stop(), a.out)
		a.requireNothingLeft()
		a.up()
		require.Equal(t, "root", a.whoami())
		a.answers("needle count:all", needles)
	})

	a.step(t, "kill -9 of stage 0 leaves nothing", func(t *testing.T) {
		a.kill(a.cmd.Process.Pid)
		a.exit()
		a.requireNothingLeft()
		a.up()
		a.answers("needle count:all", needles)
	})
	require.Equal(t, 0, a.stop(), a.out)
}

// asStranger lets it run as a user without a passwd entry, where libnss_wrapper is there to give it one, else as nobody, who has an entry.
func (a *appliance) asStranger() (uid uint32) {
	a.t.Helper()
	uid = uint32(strangerUID)
	if found, _ := filepath.Glob("/usr/lib/*/libnss_wrapper.so"); len(found) == 0 {
		uid = 65534
		a.t.Log("no libnss_wrapper: as nobody")
	}
	for _, d := range []string{a.data(), a.conf(), a.src()} {
		require.NoError(a.t, os.Chown(d, int(uid), int(uid)))
	}
	home := filepath.Join(a.dir, "home")
	require.NoError(a.t, os.Mkdir(home, 0o755))
	require.NoError(a.t, os.Chown(home, int(uid), int(uid)))
	a.env = []string{"HOME=" + home, "XDG_STATE_HOME=", "XDG_CONFIG_HOME="}
	a.attr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return uid
}
