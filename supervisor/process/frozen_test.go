package process

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// frozenMount is a file system that takes no write until it is thawed.
type frozenMount struct {
	dir    string
	thawed bool
}

// Freezing and thawing a file system. Source: linux/fs.h, FIFREEZE and FITHAW.
const (
	fiFreeze = 0xc0045877
	fiThaw   = 0xc0045878
)

func frozenFileSystem(t *testing.T) *frozenMount {
	t.Helper()
	image, m := t.TempDir()+"/image", &frozenMount{dir: t.TempDir()}
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, 16<<20))
	for _, argv := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, m.dir}} {
		c := exec.Command(argv[0], argv[1:]...)
		c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
		if out, err := c.CombinedOutput(); err != nil {
			t.Skipf("needs root and a loop device: %v: %v: %s", argv, err, out)
		}
	}
	t.Cleanup(func() { _ = unix.Unmount(m.dir, unix.MNT_DETACH) })
	require.NoError(t, m.ioctl(fiFreeze))
	t.Cleanup(func() { m.thaw(t) })
	return m
}

func (m *frozenMount) thaw(t *testing.T) {
	t.Helper()
	if !m.thawed {
		m.thawed = true
		require.NoError(t, m.ioctl(fiThaw))
	}
}

func (m *frozenMount) ioctl(request uint) error {
	fd, err := unix.Open(m.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.IoctlSetInt(fd, request, 0)
}
