package stage0

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// orphanCount is E17's.
const orphanCount = 10000

// roleOrphans leaves its zombies to the next reaper all at once: it forks and ends without waiting. The children only
// make one raw system call, which is all that a forked Go process can do.
func roleOrphans() int {
	for i := range orphanCount {
		pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
		if pid == 0 && errno == 0 {
			syscall.RawSyscall(syscall.SYS_EXIT, 0, 0, 0)
		}
		if errno != 0 {
			fmt.Fprintf(os.Stderr, "fork %d: %v\n", i, errno)
			return 1
		}
	}
	fmt.Fprintln(os.Stderr, "all orphans made")
	return 0
}

func TestE17TenThousandOrphans(t *testing.T) {
	tr := startTree(t)
	p := tr.life()
	p.message(Hello)
	known := p.spawn(1, "/bin/sh", "-c", "exec sleep 600")
	mother := p.spawn(0, tr.setup.Fallback)
	const forkTime = 3 * time.Minute // some machines take 5 ms for each
	require.Eventually(t, func() bool { return strings.Contains(tr.log(), "all orphans made") }, forkTime, 50*time.Millisecond)
	gone(t, mother.PID, mother.Start)
	require.Eventually(t, func() bool { return zombiesOf(t, tr.cmd.Process.Pid) == 0 }, patience, 50*time.Millisecond)
	require.NoError(t, unix.Kill(p.pid, syscall.SIGKILL))
	p = tr.life()
	p.message(Hello)
	require.NoError(t, unix.Kill(known.PID, syscall.SIGKILL))
	require.Equal(t, known.PID, p.message(Exit).PID)
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func zombiesOf(t *testing.T, parent int) int {
	pids, err := pidsIn("/proc")
	require.NoError(t, err)
	n := 0
	for _, pid := range pids {
		if st, err := readStat(pid); err == nil && st.ppid == parent && st.dead() {
			n++
		}
	}
	return n
}

func TestStage0IsPID1(t *testing.T) { // E52, E53, E63: in a pid namespace of its own
	if os.Getuid() != 0 {
		t.Skip("a pid namespace needs root")
	}
	tr := startTree(t, func(s *setup, c *exec.Cmd) {
		s.MountProc = true
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	})
	p := tr.life()
	require.Equal(t, 1, p.message(Hello).PID)
	child := p.spawn(1, "/bin/sh", "-c", "(exec setsid sh -c 'exit 5') & sleep 60")
	require.Less(t, child.PID, 100)
	tr.signal(unix.SIGUSR1) // from outside, unclaimed ones would end it
	tr.signal(unix.SIGQUIT)
	tr.logHas("goroutines, as asked")
	p.do(command{Do: "exit", Code: 1})
	p = tr.life()
	require.EqualValues(t, 2, p.message(Hello).Run)
	tr.signal(syscall.SIGTERM)
	p.message(Stop)
	p.done(0)
	require.Equal(t, 3, tr.code()) // the child was left over
	require.True(t, strings.Contains(tr.log(), "svc (sh, pid "), tr.log())
}

func TestKnownProcessIsNeverConfusedWithAReusedPID(t *testing.T) { // E11
	l := newLedger()
	require.NoError(t, l.know(Message{Type: Know, Name: "a", Run: 1, PID: 500, StartTime: 10}))
	require.NoError(t, l.know(Message{Type: Know, Name: "a", Run: 2, PID: 500, StartTime: 20}))
	require.Nil(t, l.find(500, 30))
	require.EqualValues(t, 2, l.find(500, 20).run)
	l.ended(l.find(500, 20), 0)
	require.Nil(t, l.find(500, 20))
	require.Len(t, l.exits(), 1)
	l.forget("a", 2)
	require.Empty(t, l.exits())
	require.EqualValues(t, 1, l.find(500, 10).run)
}
