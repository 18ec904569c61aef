package roster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDeadPostgresThatNobodyHasReapedIsNoServer: process 1 may take its time with what a killed supervisor left to it.
func TestDeadPostgresThatNobodyHasReapedIsNoServer(t *testing.T) {
	program, err := exec.LookPath("true")
	require.NoError(t, err)
	dir := t.TempDir()
	postgres := filepath.Join(t.TempDir(), "postgres")
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(postgres, content, 0o755))
	cmd := exec.Command(postgres)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Wait() }) // it was never asked for
	process := fmt.Sprintf("/proc/%d", cmd.Process.Pid)
	require.Eventually(t, func() bool { return isZombie(process) }, 30*time.Second, 10*time.Millisecond)
	require.True(t, isPostgres(process))

	file := filepath.Join(dir, "postmaster.pid")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "%d\n%s\n", cmd.Process.Pid, dir), 0o600))
	require.NoError(t, CheckPostmasterPID(dir))
	require.NoFileExists(t, file)
}
