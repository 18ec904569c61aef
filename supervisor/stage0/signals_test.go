package stage0

import (
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

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func itoa(n int) string { return strconv.Itoa(n) }

// jobControl are the signals that stage 0 ignores or may find ignored, as bits of SigIgn.
const jobControl = 1<<(unix.SIGHUP-1) | 1<<(unix.SIGTTIN-1) | 1<<(unix.SIGTTOU-1)

func TestHangupReloads(t *testing.T) {
	tr := startTree(t, func(_ *setup, c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} })
	p := tr.life()
	require.Zero(t, p.born.Ignored&jobControl)
	p.message(Hello)
	tr.signal(syscall.SIGHUP)
	p.message(Reload)
	p.do(command{Do: "exit", Code: 1}) // without an answer
	p = tr.life()
	p.message(Reload)
	p.send(Message{Type: Ready}) // the answer
	tr.logHas("is ready")
	p.do(command{Do: "exit", Code: 1})
	p = tr.life()
	p.message(Hello)
	tr.signal(syscall.SIGTERM)
	first := p.next(func(e event) bool { return e.Message.Type == Stop || e.Message.Type == Reload })
	require.Equal(t, Stop, first.Message.Type)
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func TestHangupOfTheTerminalStops(t *testing.T) {
	master, slave := openPTY(t)
	tr := startTree(t, func(_ *setup, c *exec.Cmd) {
		c.Stdin, c.SysProcAttr = slave, &syscall.SysProcAttr{Setsid: true, Setctty: true}
	})
	slave.Close()
	p := tr.life()
	p.message(Hello)
	tr.signal(syscall.SIGHUP) // the terminal is still there
	p.message(Reload)
	master.Close() // the kernel sends HUP
	p.message(Stop)
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func openPTY(t *testing.T) (master, slave *os.File) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return master, slave
}

func TestHangupUnderNohupIsIgnored(t *testing.T) {
	tr := startTree(t, func(_ *setup, c *exec.Cmd) {
		c.Path, c.Args = "/bin/sh", []string{"sh", "-c", `trap "" HUP; exec "$0"`, os.Args[0]}
	})
	p := tr.life()
	require.Zero(t, p.born.Ignored&jobControl, "stage 1 must not inherit it (E14)")
	p.message(Hello)
	tr.signal(syscall.SIGHUP)
	tr.signal(syscall.SIGTERM)
	first := p.next(func(e event) bool { return e.Message.Type == Stop || e.Message.Type == Reload })
	require.Equal(t, Stop, first.Message.Type)
	p.done(0)
	require.Equal(t, 0, tr.code())
	require.NotContains(t, tr.log(), "reload")
}

func TestE15EverySignalIsSurvived(t *testing.T) {
	tr := startTree(t)
	p := tr.life()
	for _, sig := range harmless() {
		tr.signal(sig.(syscall.Signal))
	}
	for _, sig := range []syscall.Signal{unix.SIGTTIN, unix.SIGTTOU, unix.SIGURG, unix.SIGCHLD} {
		tr.signal(sig)
	}
	tr.signal(syscall.SIGQUIT)
	tr.logHas("stage0.(*stage0).loop") // it dumped its goroutines
	tr.signal(unix.SIGPWR)
	p.message(Stop)
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	told := func(want string) {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			require.NoError(t, err, want)
			if strings.Contains(string(buf[:n]), want) {
				return
			}
		}
	}
	tr := startTree(t, func(_ *setup, c *exec.Cmd) {
		c.Env = []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=100000"}
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	})
	p := tr.life()
	p.send(Message{Type: Status, Text: "migrating\n3 of 7"})
	told("STATUS=migrating 3 of 7\nEXTEND_TIMEOUT_USEC=")
	p.send(Message{Type: Ready})
	told("READY=1")
	told("WATCHDOG=1")
	tr.signal(syscall.SIGHUP)
	told("RELOADING=1\nMONOTONIC_USEC=")
	p.message(Reload)
	p.send(Message{Type: Ready})
	told("READY=1")
	tr.signal(syscall.SIGTERM)
	told("STOPPING=1\nEXTEND_TIMEOUT_USEC=")
	p.done(0)
	require.Equal(t, 0, tr.code())
}
