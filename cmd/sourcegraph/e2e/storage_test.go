package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// TestUnmountedStorageIsNotBegunAnew: a service whose disk went away waits for it, makes nothing below the mount point, and has all of its data once
// the disk is back.
func TestUnmountedStorageIsNotBegunAnew(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	t.Parallel()
	a := install(t)
	disk, mount := filepath.Join(a.dir, "disk"), filepath.Join(a.dir, "mount")
	for _, dir := range []string{disk, mount} {
		require.NoError(t, os.Mkdir(dir, 0o755))
	}
	attach := func() { require.NoError(t, syscall.Mount(disk, mount, "", syscall.MS_BIND, "")) }
	detach := func() { require.NoError(t, syscall.Unmount(mount, syscall.MNT_DETACH)) }
	attach()
	t.Cleanup(func() { _ = syscall.Unmount(mount, syscall.MNT_DETACH) })
	a.top = fmt.Sprintf("storage: {database: %[1]s/database, repos: %[1]s/repos}\n", mount)
	a.configureAll(nil)
	needles := a.stock()

	for _, name := range []string{"gitserver", "postgres"} {
		detach()
		before := a.service(name)
		a.kill(before.PID)
		s := a.until(name, func(s api.Service) bool { return s.State == api.Backoff && s.Restarts > before.Restarts })
		require.Contains(t, s.Reason, "is not mounted")
		below, err := os.ReadDir(mount)
		require.NoError(t, err)
		require.Empty(t, below)
		attach()
		a.ready()
	}
	require.Equal(t, "root", a.whoami())
	a.answers("needle count:all", needles)
	require.Equal(t, 0, a.stop(), a.out)
}
