package gitserver

import (
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sshTest clones through a real sshd with a key of its own.
func sshTest(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	want := src.commit(map[string]string{"a": "b"})
	me, err := user.Current()
	require.NoError(t, err)
	dir := t.TempDir()
	for _, key := range []string{"host", "user"} {
		out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	require.NoError(t, ln.Close())
	_, port, _ := net.SplitHostPort(addr)
	config := filepath.Join(dir, "config")
	require.NoError(t, os.WriteFile(config, []byte("ListenAddress "+addr+"\nHostKey "+dir+"/host\nAuthorizedKeysFile "+dir+"/user.pub\nStrictModes no\nUsePAM no\nPidFile none\n"), 0o600))
	if os.Geteuid() == 0 {
		require.NoError(t, os.MkdirAll("/run/sshd", 0o755)) // sshd run by root insists on it; the distribution makes it at boot
	}
	sshd := exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", config)
	if err := sshd.Start(); err != nil {
		t.Skipf("sshd: %v", err)
	}
	t.Cleanup(func() { _ = sshd.Process.Kill(); _ = sshd.Wait() })
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 30*time.Second, 20*time.Millisecond, "sshd listens")
	url := "ssh://" + me.Username + "@127.0.0.1:" + port + src.dir
	identity := "ssh -i " + dir + "/user -o UserKnownHostsFile=" + dir + "/known -F none "
	for i, e := range gs.store.git.env { // ssh takes the home from the passwd file, not from HOME
		if rest, ok := strings.CutPrefix(e, "GIT_SSH_COMMAND=ssh "); ok {
			gs.store.git.env[i] = "GIT_SSH_COMMAND=" + identity + rest
		}
	}
	_, err = gs.Update(ctx, "a/b", url, "")
	require.NoError(t, err)
	got, err := gs.Resolve(ctx, "a/b", "", "")
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.NoError(t, os.Remove(filepath.Join(dir, "user")))
	_, err = gs.Update(ctx, "a/c", url, "")
	require.ErrorIs(t, err, ErrRemoteAuth)
	require.NotEmpty(t, strconv.Quote(err.Error()))
}
