package probe

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be a service that notifies: as another user and another process.
func TestMain(m *testing.M) {
	if path, ok := os.LookupEnv("TEST_NOTIFY"); ok {
		if err := send(path, "READY=1"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func send(path, text string) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(text))
	return err
}

func listen(t *testing.T, uid int) *Notify {
	t.Helper()
	dir := userDir(t)
	require.NoError(t, os.Chmod(dir, 0o755))
	n, err := Listen(dir+"/notify", uid)
	require.NoError(t, err)
	t.Cleanup(n.Close)
	return n
}

func next(t *testing.T, n *Notify, mine func(pid, uid int) bool) Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m, err := n.Next(ctx, mine)
	require.NoError(t, err)
	return m
}

func TestNotifyMessages(t *testing.T) {
	n := listen(t, os.Geteuid())
	pid := os.Getpid()
	for text, want := range map[string]Message{
		"READY=1":                                    {PID: pid, Ready: true},
		"STATUS=indexing 3 of 7\nREADY=1\n":          {PID: pid, Ready: true, Status: "indexing 3 of 7"},
		"WATCHDOG=1":                                 {PID: pid, Watchdog: true},
		"STOPPING=1":                                 {PID: pid, Stopping: true},
		"READY=0\nMAINPID=1\nNOTAGOODLINE\n=\n":      {PID: pid},
		"STATUS=a\x1b[31m\tb":                        {PID: pid, Status: "a?[31m b"},
		"STATUS=" + strings.Repeat("x", 2*maxNotify): {PID: pid, Status: strings.Repeat("x", maxStatus)},
	} {
		require.NoError(t, send(n.Path(), text))
		require.Equal(t, want, next(t, n, nil), "%.40q", text)
	}
}

func TestNotifyOfStrangersIsDropped(t *testing.T) {
	n := listen(t, os.Geteuid())
	require.NoError(t, send(n.Path(), "READY=1"))
	require.NoError(t, send(n.Path(), "WATCHDOG=1"))
	asked := 0
	m := next(t, n, func(pid, uid int) bool {
		require.Equal(t, os.Getpid(), pid)
		require.Equal(t, os.Geteuid(), uid)
		asked++
		return asked == 2
	})
	require.Equal(t, Message{PID: os.Getpid(), Watchdog: true}, m)
}

func TestNotifyClosesDescriptorsItIsSent(t *testing.T) {
	n := listen(t, os.Geteuid())
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, unix.Sendmsg(fd, []byte("FDSTORE=1"), unix.UnixRights(int(w.Fd())), &unix.SockaddrUnix{Name: n.Path()}, 0))
	require.NoError(t, w.Close())
	require.Equal(t, Message{PID: os.Getpid()}, next(t, n, nil))
	_, err = r.Read(make([]byte, 1))
	require.EqualError(t, err, "EOF", "nobody holds the other end")
}

// The service's user may write to its socket, and no other user may.
func TestNotifyOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: two users")
	}
	exe, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	dir := userDir(t)
	require.NoError(t, os.WriteFile(dir+"/service", exe, 0o755))
	for uid, allowed := range map[int]bool{nobody: true, nobody - 1: false} {
		n := listen(t, uid)
		c := exec.Command(dir + "/service")
		c.Env = []string{"TEST_NOTIFY=" + n.Path()}
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		out, err := c.CombinedOutput()
		if !allowed {
			require.Error(t, err)
			require.Contains(t, string(out), "permission denied")
			continue
		}
		require.NoError(t, err, "%s", out)
		require.Equal(t, Message{PID: c.Process.Pid, Ready: true}, next(t, n, func(pid, uid int) bool { return uid == nobody }))
	}
}

func TestNotifyEnds(t *testing.T) {
	n := listen(t, -1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := n.Next(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, send(n.Path(), "READY=1"))
	require.True(t, next(t, n, nil).Ready, "it goes on")
	n.Close()
	require.NoFileExists(t, n.Path())
	_, err = n.Next(t.Context(), nil)
	require.ErrorIs(t, err, net.ErrClosed)

	again, err := Listen(n.Path(), -1)
	require.NoError(t, err)
	left, err := Listen(n.Path(), -1)
	require.NoError(t, err, "what an earlier run left is removed")
	left.Close()
	again.Close()

	_, err = Listen("/"+strings.Repeat("x", 107), -1)
	require.ErrorContains(t, err, "108 bytes long")
}
