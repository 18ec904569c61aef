package stage0

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newCgroup makes a group with a child group below root, or skips.
func newCgroup(t *testing.T, root string) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
		t.Skip("no cgroup hierarchy here: ", err)
	}
	dir := filepath.Join(root, fmt.Sprintf("stage0-test-%d", os.Getpid()))
	if err := os.MkdirAll(filepath.Join(dir, "below"), 0o755); err != nil {
		t.Skip("cgroups cannot be made here: ", err)
	}
	t.Cleanup(func() {
		require.Eventually(t, func() bool {
			os.Remove(filepath.Join(dir, "below"))
			return os.Remove(dir) == nil
		}, patience, 5*time.Millisecond)
	})
	return dir
}

// sleeper is a process in the group dir.
func sleeper(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	require.NoError(t, writeExisting(filepath.Join(dir, "cgroup.procs"), itoa(cmd.Process.Pid)))
	return cmd
}

func requireKilled(t *testing.T, dir string, cmds ...*exec.Cmd) {
	t.Helper()
	require.Len(t, killCgroup(dir), len(cmds))
	for _, cmd := range cmds {
		require.Error(t, cmd.Wait())
		require.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	}
	require.Empty(t, killCgroup(dir))
}

func unified() string {
	if _, err := os.Stat("/sys/fs/cgroup/unified/cgroup.procs"); err == nil {
		return "/sys/fs/cgroup/unified"
	}
	return "/sys/fs/cgroup"
}

func TestKillCgroupV2(t *testing.T) {
	dir := newCgroup(t, unified())
	requireKilled(t, dir, sleeper(t, dir), sleeper(t, filepath.Join(dir, "below")))
}

func TestE4FrozenV1GroupIsKilledAndThawed(t *testing.T) {
	dir := newCgroup(t, "/sys/fs/cgroup/freezer")
	one, two := sleeper(t, dir), sleeper(t, filepath.Join(dir, "below"))
	require.NoError(t, writeExisting(filepath.Join(dir, "freezer.state"), "FROZEN"))
	requireKilled(t, dir, one, two)
}

func TestOurOwnGroupIsLeftAlone(t *testing.T) {
	require.Empty(t, killCgroup(unified()))
	require.Empty(t, cgroupPIDs("/"))
}

func TestStopDeadlineKillsKnownCgroups(t *testing.T) {
	dir := newCgroup(t, unified())
	tr := startTree(t, func(s *setup, _ *exec.Cmd) { s.StopTimeout = time.Second })
	p := tr.life()
	outside := sleeper(t, dir) // not a descendant of stage 0: only the cgroup leads to it
	p.send(Message{Type: Know, Name: "svc", Cgroup: dir})
	p.send(Message{Type: Ready})
	tr.logHas("is ready")
	tr.signal(syscall.SIGTERM)
	require.Error(t, outside.Wait())
	require.Equal(t, 3, tr.code())
	require.Contains(t, tr.log(), fmt.Sprintf("sleep (pid %d)", outside.Process.Pid))
}
