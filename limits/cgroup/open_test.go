package cgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// opened is what a process tells of the tree that it opened.
type opened struct {
	Grade    Grade
	Contains bool
	Why      []string
	Ours     string // where it has its directory in cgroup2
	Limit    string // pids.max of a group that it created
	Err      string
}

// openAndTell opens, uses and destroys a tree, and prints what it found.
func openAndTell() {
	var o opened
	tree, why, err := Open(Options{Name: os.Getenv("TEST_NAME")})
	if err == nil {
		o = opened{Grade: tree.Grade(), Contains: tree.Contains(), Why: why}
		err = o.use(tree)
	}
	if err != nil {
		o.Err = err.Error()
	}
	_ = json.NewEncoder(os.Stdout).Encode(o)
}

func (o *opened) use(tree *Tree) error {
	if tree.unified != nil {
		o.Ours = tree.unified.ours
	}
	g, err := tree.Create("service-0.1", Budget{Pids: 77, Memory: 64 << 20})
	if err != nil {
		return err
	}
	if p, ok := g.in(pids); ok {
		o.Limit, _ = read(p.dir, "pids.max")
	}
	if err := tree.EnterSupervisor(); err != nil {
		return err
	}
	return tree.Destroy()
}

// inCgroupNamespace continues as openAndTell where our cgroup is the root of the cgroup2 tree, as in a container.
func inCgroupNamespace() {
	inside(&syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWCGROUP | unix.CLONE_NEWNS}, "ns-inner")
}

// withReadOnlyCgroups continues as openAndTell where every cgroup file system is read-only, as in an unprivileged container.
func withReadOnlyCgroups() {
	inside(&syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}, "ro-inner")
}

func inside(attr *syscall.SysProcAttr, role string) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "TEST_ROLE=open", "TEST_MOUNTS="+role)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdout, os.Stderr, attr
	if err := cmd.Run(); err != nil {
		fmt.Println(err)
	}
}

// remount prepares the mount namespace that inside made.
func remount(role string) error {
	// Private is what is changed here alone: the / of a chroot is no mount point.
	if err := errors.Join(unix.Mount("", "/sys", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("", "/proc", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
		return err
	}
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, m := range mounts(string(data)) {
		switch {
		case role == "ro-inner":
			err = unix.Mount("", m.dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
		case role == "ns-inner" && m.unified:
			err = errors.Join(unix.Unmount(m.dir, unix.MNT_DETACH), unix.Mount("cgroup2", m.dir, "cgroup2", 0, ""))
		}
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	if role == "pid-inner" {
		return unix.Mount("proc", "/proc", "proc", 0, "")
	}
	return nil
}

// asProcess1 continues as openAndTell, being process 1 of its pid namespace already.
func asProcess1() {
	if err := remount("pid-inner"); err != nil {
		fmt.Println(err)
		return
	}
	openAndTell()
}

// tell runs this binary in a role and returns what it found. It is opened beforehand: another user cannot reach it by its path.
func tell(t *testing.T, role string, attr *syscall.SysProcAttr) opened {
	t.Helper()
	self, err := os.Open("/proc/self/exe")
	require.NoError(t, err)
	defer self.Close()
	cmd := exec.Command("/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{self}
	cmd.Env = append(os.Environ(), "TEST_ROLE="+role, fmt.Sprintf("TEST_NAME=cgroup-test-%d-%d", os.Getpid(), trees.Add(1)))
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	var o opened
	require.NoError(t, json.Unmarshal(out, &o), string(out))
	require.Empty(t, o.Err)
	return o
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}

func TestE61ReadOnlyCgroupsAreSoft(t *testing.T) {
	needsRoot(t)
	o := tell(t, "ro", nil)
	require.Equal(t, Soft, o.Grade)
	require.False(t, o.Contains)
	require.Contains(t, strings.Join(o.Why, "\n"), "mounted read-only")
	require.Contains(t, o.Why, "no kernel limit on memory, cpu, pids: no such controller is ours to use")
}

func TestOrdinaryUserWithoutDelegationIsSoft(t *testing.T) {
	needsRoot(t)
	o := tell(t, "open", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}})
	require.Equal(t, Soft, o.Grade)
	require.False(t, o.Contains)
	require.Contains(t, strings.Join(o.Why, "\n"), "not delegated to us")
}

func TestSoftGroupsClaimNothing(t *testing.T) {
	tree, why, err := Open(Options{Name: "none", Ignore: []string{"all"}})
	require.NoError(t, err)
	require.Equal(t, []string{"cgroups are switched off"}, why)
	require.Equal(t, Soft, tree.Grade())
	g, err := tree.Create("service-0.1", Budget{Memory: 1 << 30})
	require.NoError(t, err)
	require.False(t, g.Contains())
	require.Empty(t, g.Paths())
	_, ok := g.SpawnFD()
	require.False(t, ok)
	_, err = g.Populated()
	require.ErrorAs(t, err, new(NotContained))
	require.ErrorAs(t, g.Kill(), new(NotContained))
	require.ErrorAs(t, g.WaitEmpty(within(t)), new(NotContained))
	u, err := g.Usage()
	require.NoError(t, err)
	require.Zero(t, u)
	require.NoError(t, g.Set(Budget{Pids: 5}))
	require.NoError(t, g.Join())
	require.NoError(t, g.Leave())
	require.NoError(t, g.Remove())
	require.NoError(t, tree.EnterSupervisor())
	require.NoError(t, tree.Destroy())
}

// box makes a cgroup2 group beside ours with all controllers.
func box(t *testing.T) (dir string, fd int) {
	t.Helper()
	needsRoot(t)
	const root = "/sys/fs/cgroup"
	if len(offered(root)) == 0 || !isRoot(root) {
		t.Skip("needs cgroup2 with controllers and its root; it runs in the virtual machine")
	}
	_, err := enable(root)
	require.NoError(t, err)
	dir, err = os.MkdirTemp(root, "box")
	require.NoError(t, err)
	f, err := os.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() {
		f.Close()
		for _, c := range enabled(dir) {
			require.NoError(t, write(dir, "cgroup.subtree_control", "-"+c))
		}
		_ = remove(filepath.Join(dir, leaf))
		require.NoError(t, remove(dir))
	})
	return dir, int(f.Fd())
}

// stranger is a process in a box that is not ours, such as a shell.
func stranger(t *testing.T, fd int) {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

func TestE61ContainersCgroupIsOursWhole(t *testing.T) {
	_, fd := box(t)
	stranger(t, fd) // a debug shell, which moves along
	o := tell(t, "ns", &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd})
	require.Equal(t, opened{Grade: V2, Contains: true, Ours: "/sys/fs/cgroup", Limit: "77"}, o)
}

func TestE61ContainersCgroupIsKnownByItsProcess1(t *testing.T) {
	dir, fd := box(t)
	o := tell(t, "pid", &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd, Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID})
	require.Equal(t, opened{Grade: V2, Contains: true, Ours: dir, Limit: "77"}, o)
}

func TestE63ProcessOutsideThePidNamespaceIsNamed(t *testing.T) {
	_, fd := box(t)
	stranger(t, fd) // cannot be moved from inside
	o := tell(t, "pid", &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd, Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID})
	require.Equal(t, Soft, o.Grade)
	require.True(t, o.Contains)
	require.Contains(t, strings.Join(o.Why, "\n"), "it holds processes that we cannot move")
}

func TestLoginSessionIsLeftForItsAncestor(t *testing.T) {
	_, fd := box(t)
	stranger(t, fd) // a shell that is not ours to move
	o := tell(t, "open", &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd})
	require.Equal(t, V2, o.Grade)
	require.Equal(t, "77", o.Limit)
	require.Equal(t, "/sys/fs/cgroup", filepath.Dir(o.Ours))
	require.Empty(t, o.Why)
}

func TestSystemdDelegatesToOrdinaryUser(t *testing.T) {
	dir, fd := box(t)
	require.NoError(t, unix.Setxattr(dir, "user.delegate", []byte("1"), 0))
	for _, file := range []string{"", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"} {
		require.NoError(t, os.Chown(filepath.Join(dir, file), 1000, 1000))
	}
	o := tell(t, "open", &syscall.SysProcAttr{
		UseCgroupFD: true, CgroupFD: fd, Credential: &syscall.Credential{Uid: 1000, Gid: 1000},
	})
	require.Equal(t, opened{Grade: V2, Contains: true, Ours: dir, Limit: "77"}, o)
}

func TestKillReachesFrozenV2Group(t *testing.T) {
	tree := openTree(t)
	g := create(t, tree, Budget{})
	p, ok := g.unified()
	if !ok {
		t.Skip("needs cgroup2")
	}
	start(t, g, "sleep", "600")
	require.NoError(t, write(p.dir, "cgroup.freeze", "1"))
	require.Eventually(t, func() bool { n, err := field(p.dir, "cgroup.events", "frozen"); return err == nil && n == 1 }, patience, 1e6)
	require.NoError(t, g.Kill())
	require.NoError(t, g.WaitEmpty(within(t)))
}

func TestOpenRefusesUnusableName(t *testing.T) {
	for _, name := range []string{"", "supervisor", "a/b", "service-0.1"} {
		_, _, err := Open(Options{Name: name})
		require.ErrorContains(t, err, "cannot be the name of our directory")
	}
}
