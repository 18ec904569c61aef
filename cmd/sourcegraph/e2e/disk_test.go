package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// TestE66FullDiskUnderPostgres: where PostgreSQL cannot start for want of space it is tried again and named as the cause; nothing is lost, and all comes
// back by itself once there is space.
func TestE66FullDiskUnderPostgres(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system")
	}
	t.Parallel()
	a := install(t)
	require.NoError(t, syscall.Mount("tmpfs", a.data(), "tmpfs", 0, "size=512m,mode=755"))
	t.Cleanup(func() { _ = syscall.Unmount(a.data(), syscall.MNT_DETACH) })
	needles := a.stock()

	ballast := filepath.Join(a.data(), "ballast")
	require.Error(t, exec.Command("dd", "if=/dev/zero", "of="+ballast, "bs=64k").Run(), "the disk is full")
	before := a.service("postgres")
	a.kill(before.PID)
	s := a.until("postgres", func(s api.Service) bool { return s.State == api.Backoff && s.Restarts >= before.Restarts+3 })
	require.Contains(t, s.Reason, "no space left on device")
	require.NotEmpty(t, a.missing(), "the product is not said to be ready")
	code, text := a.say("why", "postgres")
	require.Equal(t, 0, code, text)
	require.Contains(t, text, "no space left on device")

	require.NoError(t, os.Remove(ballast))
	a.ready()
	require.Equal(t, "root", a.whoami())
	a.answers("needle count:all", needles)
	require.Equal(t, 0, a.stop(), a.out)
}
