package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// cgroup2 makes a group in the cgroup2 tree, wherever that is mounted.
func cgroup2(t *testing.T) string {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		var fs unix.Statfs_t
		if unix.Statfs(root, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC {
			return makeCgroup(t, root)
		}
	}
	t.Skip("no cgroup2 tree on this machine")
	return ""
}

// cgroup1 makes a group of a v1 controller.
func cgroup1(t *testing.T, controller string) string {
	t.Helper()
	root := "/sys/fs/cgroup/" + controller
	var fs unix.Statfs_t
	if unix.Statfs(root, &fs) != nil || fs.Type != unix.CGROUP_SUPER_MAGIC {
		t.Skip("no v1 controller " + controller + " on this machine")
	}
	return makeCgroup(t, root)
}

func makeCgroup(t *testing.T, root string) string {
	t.Helper()
	dir := filepath.Join(root, fmt.Sprintf("process-test-%d-%s", os.Getpid(), filepath.Base(t.TempDir())+strings.ReplaceAll(t.Name(), "/", "-")))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("cgroups are not ours to make: " + err.Error())
	}
	t.Cleanup(func() { _ = unix.Rmdir(dir) })
	return dir
}

// homeTasks is the tasks file of our own group of a v1 controller.
func homeTasks(t *testing.T, controller string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	for _, line := range strings.Split(string(text), "\n") {
		if parts := strings.SplitN(line, ":", 3); len(parts) == 3 && parts[1] == controller {
			return filepath.Join("/sys/fs/cgroup", controller, parts[2], "tasks")
		}
	}
	t.Skip("this process is in no group of " + controller)
	return ""
}

func cgroupsOf(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile(procFile(pid, "cgroup"))
	require.NoError(t, err)
	return string(text)
}

func TestChildIsBornInItsV2Cgroup(t *testing.T) {
	testBornInV2(t, false)
}

// E29: where clone3 is refused the child is moved before its first instruction.
func TestE29Clone3Refused(t *testing.T) {
	if !isInner("TestE29Clone3Refused") {
		if !Capable("SYS_ADMIN") {
			t.Skip("needs root: installs a seccomp filter for the whole test process")
		}
		inner(t, "no-clone3", NoChange, "TestE29Clone3Refused")
		return
	}
	testBornInV2(t, true)
}

func testBornInV2(t *testing.T, late bool) {
	dir := cgroup2(t)
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	s := newSpawner(t)
	for range 3 {
		spec := role("sleep")
		if Capable("SETUID") {
			spec = asUser(spec, 65534)
		}
		spec.CgroupFD = fd
		c := start(t, s, spec)
		require.Equal(t, late, s.joinLate.Load())
		require.Equal(t, "sleeping", c.line(t))
		require.Contains(t, cgroupsOf(t, c.PID()), "0::/"+filepath.Base(dir))
		require.NoError(t, c.Signal(syscall.SIGTERM))
		require.Equal(t, syscall.SIGTERM, c.wait(t).Signal)
		require.NoError(t, c.Reap())
	}
	require.NoError(t, unix.Rmdir(dir))
}

// E3: controllers of v1 and the tree of v2 at the same time.
func TestE3ChildIsBornInItsV1Cgroups(t *testing.T) {
	pids, memory := cgroup1(t, "pids"), cgroup1(t, "memory")
	s := newSpawner(t)
	spec := role("sleep")
	tree := cgroup2(t) // a hybrid machine: the cgroup2 tree beside the controllers
	fd, err := unix.Open(tree, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	spec.CgroupFD = fd
	spec.TaskFiles = []string{pids + "/tasks", memory + "/tasks"}
	spec.HomeFiles = []string{homeTasks(t, "pids"), homeTasks(t, "memory")}
	c := start(t, s, spec)
	require.Equal(t, "sleeping", c.line(t))
	groups := cgroupsOf(t, c.PID())
	require.Contains(t, groups, ":pids:/"+filepath.Base(pids))
	require.Contains(t, groups, ":memory:/"+filepath.Base(memory))
	require.Contains(t, groups, "0::/"+filepath.Base(tree))
	require.Empty(t, c.Warnings)
	require.NoError(t, c.Signal(syscall.SIGKILL))
	c.wait(t)
	require.NoError(t, c.Reap())
	require.NoError(t, unix.Rmdir(pids), "our thread has left it again")
}

// A thread that cannot come back would keep the group from ever being removed: it is given up for a new one.
func TestStrandedThreadIsReplaced(t *testing.T) {
	dir := cgroup1(t, "pids")
	s := newSpawner(t)
	spec := role("exit 0")
	spec.TaskFiles, spec.HomeFiles = []string{dir + "/tasks"}, []string{"/sys/fs/cgroup/pids/none/tasks"}
	for range 2 {
		c := start(t, s, spec)
		require.Len(t, c.Warnings, 1)
		require.Contains(t, c.Warnings[0], "/sys/fs/cgroup/pids/none/tasks")
		require.Equal(t, 0, c.wait(t).Code)
		require.NoError(t, c.Reap())
	}
	require.Eventually(t, func() bool { return unix.Rmdir(dir) == nil }, patience, tick)
}

func TestVanishedV1Cgroup(t *testing.T) {
	dir := cgroup1(t, "pids")
	s := newSpawner(t)
	require.NoError(t, unix.Rmdir(dir))
	spec := role("exit 0")
	spec.TaskFiles, spec.HomeFiles = []string{dir + "/tasks"}, []string{homeTasks(t, "pids")}
	_, err := s.Start(spec)
	var e *ExecError
	require.ErrorAs(t, err, &e)
	require.True(t, e.CgroupGone())
	require.Equal(t, dir+"/tasks", e.Path)
}

// TestManyAtOnceAreEachBornInTheirGroup: the thread that forks goes from one group to the next, and is in none of them in the end.
func TestManyAtOnceAreEachBornInTheirGroup(t *testing.T) {
	s := newSpawner(t)
	pids, memory := homeTasks(t, "pids"), homeTasks(t, "memory")
	var dirs []string
	var all errgroup.Group
	for i := range 12 {
		controller, home := "pids", pids
		if i%3 == 2 { // another hierarchy: the way is by home
			controller, home = "memory", memory
		}
		dir := cgroup1(t, controller)
		dirs = append(dirs, dir)
		spec := role("sleep")
		spec.TaskFiles, spec.HomeFiles = []string{dir + "/tasks"}, []string{home}
		all.Go(func() error {
			c, err := s.Start(spec)
			if err != nil {
				return err
			}
			text, err := os.ReadFile(dir + "/cgroup.procs")
			if got := strings.TrimSpace(string(text)); err == nil && got != strconv.Itoa(c.PID()) {
				err = fmt.Errorf("process %d, and in %s is %q", c.PID(), dir, got)
			}
			err = errors.Join(err, c.Signal(syscall.SIGKILL))
			_, waited := c.Wait()
			return errors.Join(err, waited, c.Reap())
		})
	}
	require.NoError(t, all.Wait())
	for _, dir := range dirs {
		require.NoError(t, unix.Rmdir(dir), "our thread has left it again")
	}
}
