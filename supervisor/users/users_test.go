package users

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/supervisor/process"
)

// E62: what each kind of start may do.
func TestE62Modes(t *testing.T) {
	all := func(string) bool { return true }
	none := func(string) bool { return false }
	mode, err := detect(0, all)
	require.NoError(t, err)
	require.Equal(t, Root, mode)
	for _, has := range []func(string) bool{all, none} {
		mode, err = detect(10001, has)
		require.NoError(t, err)
		require.Equal(t, OneUser, mode)
	}
	for _, missing := range needed {
		_, err = detect(0, func(name string) bool { return name != missing })
		var refused *RefusedError
		require.ErrorAs(t, err, &refused)
		require.ErrorContains(t, err, missing)
		require.Equal(t, 2, refused.ExitCode())
		require.Contains(t, refused.Hint(), "--user 10001:0")
	}
}

// E62: uid 0 without capabilities, for real.
func TestE62RootWithoutCapabilitiesIsRefused(t *testing.T) {
	if os.Getenv("INNER") != "" {
		_, err := Detect()
		require.ErrorContains(t, err, "SETUID, SETGID, CHOWN, KILL, DAC_OVERRIDE, FOWNER")
		return
	}
	needRoot(t)
	s, err := process.NewSpawner()
	require.NoError(t, err)
	defer s.Close()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	exe, err := os.Executable()
	require.NoError(t, err)
	p, err := s.Start(process.Spec{
		Program: exe, Argv: []string{"test", "-test.run=^" + t.Name() + "$"}, Env: []string{"INNER=1"}, Dir: "/", UID: process.NoChange, CgroupFD: -1, Output: w,
	})
	require.NoError(t, w.Close())
	require.NoError(t, err)
	exit, err := p.Wait()
	require.NoError(t, err)
	require.NoError(t, p.Reap())
	out := make([]byte, 4096)
	n, _ := r.Read(out)
	require.Equal(t, 0, exit.Code, "%s", out[:n])
}

func needRoot(t *testing.T) {
	t.Helper()
	if mode, err := Detect(); mode != Root {
		t.Skip("needs root: ", err)
	}
}

func open(t *testing.T, file, id string) *Book {
	t.Helper()
	b, err := Open(file, id, Root)
	require.NoError(t, err)
	return b
}

func of(t *testing.T, b *Book, service, account string) Identity {
	t.Helper()
	i, err := b.Of(service, account)
	require.NoError(t, err)
	return i
}

func TestUsersAreSticky(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	b := open(t, file, "a")
	gitserver, worker := of(t, b, "gitserver", "sg-gitserver"), of(t, b, "worker", "")
	require.NotEqual(t, gitserver.UID, worker.UID)
	for _, i := range []Identity{gitserver, worker} {
		require.Equal(t, i.UID, i.GID)
		require.GreaterOrEqual(t, i.UID, firstUID)
		require.Less(t, i.UID, 65536)
	}
	again := open(t, file, "another directory")
	require.Equal(t, worker, of(t, again, "worker", "root"), "an account that appears later changes nothing")
	require.Equal(t, gitserver, of(t, again, "gitserver", "sg-gitserver"))
	require.Equal(t, gitserver, of(t, b, "gitserver", ""))
	st, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o644), st.Mode())
	require.NoFileExists(t, file+".new")
}

func TestAnExistingAccountIsUsed(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "users"), "a")
	require.Equal(t, Identity{UID: 65534, GID: 65534, Account: "nobody"}, of(t, b, "postgres", "nobody"))
	require.Equal(t, Identity{UID: 65534, GID: 65534, Account: "nobody"}, of(t, b, "redis", "nobody"), "the site's choice")
	_, err := b.Of("long", "sg-a-name-of-more-than-31-characters")
	require.ErrorContains(t, err, "longer than 31")
}

// Every service of a full roster gets a number of its own, and two appliances start in blocks of their own.
func TestNumbersAreOnePerService(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "users"), "a")
	seen := map[int]bool{}
	for range 100 {
		i, err := b.choose("")
		require.NoError(t, err)
		require.False(t, seen[i.UID])
		seen[i.UID] = true
		b.known["service"+string(rune(len(seen)))] = i
	}
	require.NotEqual(t, b.start, open(t, filepath.Join(t.TempDir(), "users"), "b").start)
}

func TestOneUserModeRemembersNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	b, err := Open(file, "a", OneUser)
	require.NoError(t, err)
	require.Equal(t, Identity{UID: os.Geteuid(), GID: os.Getegid()}, of(t, b, "gitserver", "nobody"))
	require.NoFileExists(t, file)
	require.Equal(t, 12345, Identity{UID: 12345, GID: 1}.SpecUID())
}

func TestDamagedBookIsRefused(t *testing.T) {
	for _, text := range []string{"", "{", `{"schema":2}`, `{"users":{}}`} {
		file := filepath.Join(t.TempDir(), "users")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := Open(file, "a", Root)
		var refused *RefusedError
		require.ErrorAs(t, err, &refused, text)
		require.ErrorContains(t, err, file)
	}
}

func TestUserThatCannotBeRememberedIsNotUsed(t *testing.T) {
	b := open(t, filepath.Join(t.TempDir(), "none", "users"), "a")
	_, err := b.Of("gitserver", "")
	require.ErrorContains(t, err, "remember the users of gitserver")
	require.Empty(t, b.known)
}

func owner(t *testing.T, path string) int {
	t.Helper()
	var st unix.Stat_t
	require.NoError(t, unix.Lstat(path, &st))
	return int(st.Uid)
}

// tree is a directory of uid with a file, a directory, a link out of it, and a file of root.
func tree(t *testing.T, uid int) string {
	t.Helper()
	needRoot(t)
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.MkdirAll(dir+"/sub", 0o700))
	require.NoError(t, os.WriteFile(dir+"/sub/file", nil, 0o600))
	require.NoError(t, os.Symlink("/etc/passwd", dir+"/link"))
	for _, path := range []string{dir, dir + "/sub", dir + "/sub/file", dir + "/link"} {
		require.NoError(t, os.Lchown(path, uid, uid))
	}
	require.NoError(t, os.WriteFile(dir+"/roots", nil, 0o600))
	return dir
}

func TestDirectoryOfAnotherOwnerIsTakenOver(t *testing.T) {
	dir := tree(t, 12345)
	changed, err := Own(t.Context(), dir, 20001, 20001)
	require.NoError(t, err)
	require.Equal(t, 4, changed)
	for path, want := range map[string]int{dir: 20001, dir + "/sub": 20001, dir + "/sub/file": 20001, dir + "/link": 20001, dir + "/roots": 0, "/etc/passwd": 0} {
		require.Equal(t, want, owner(t, path), path)
	}
	changed, err = Own(t.Context(), dir, 20001, 20001)
	require.NoError(t, err)
	require.Zero(t, changed, "it costs one look")
	require.ErrorContains(t, errorOf(Own(t.Context(), dir+"/link", 20002, 20002)), "symbolic link")
	require.ErrorIs(t, errorOf(Own(t.Context(), dir+"/none", 20002, 20002)), os.ErrNotExist)
}

func errorOf(_ int, err error) error { return err }

func TestInterruptedTakeOverGoesOn(t *testing.T) {
	dir := tree(t, 12345)
	ctx, cancel := context.WithCancelCause(t.Context())
	power := errors.New("power cut")
	require.NoError(t, os.Lchown(dir+"/link", 20001, 20001)) // as far as it came
	cancel(power)
	_, err := Own(ctx, dir, 20001, 20001)
	require.ErrorIs(t, err, power)
	require.Equal(t, 12345, owner(t, dir), "the directory itself comes last")
	changed, err := Own(t.Context(), dir, 20001, 20001)
	require.NoError(t, err)
	require.Equal(t, 3, changed)
	require.Equal(t, 20001, owner(t, dir+"/sub/file"))
}

// An ordinary user is told whose the directory is.
func TestForeignDirectoryIsRefusedToAnOrdinaryUser(t *testing.T) {
	if dir := os.Getenv("INNER_DIR"); dir != "" {
		_, err := Own(t.Context(), dir, os.Geteuid(), os.Getegid())
		var refused *RefusedError
		require.ErrorAs(t, err, &refused)
		require.EqualError(t, err, "directory "+dir+" belongs to uid 12345, we run as uid 65534")
		require.Contains(t, refused.Hint(), "run as uid 12345")
		require.ErrorAs(t, CheckWritable(dir), &refused)
		require.NoError(t, CheckWritable(os.TempDir()), "of another owner, but ours to write")
		return
	}
	dir := tree(t, 12345)
	for parent := dir; parent != os.TempDir() && parent != "/"; parent = filepath.Dir(parent) {
		require.NoError(t, os.Chmod(parent, 0o755))
	}
	exe, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	copied := filepath.Join(filepath.Dir(dir), "test")
	require.NoError(t, os.WriteFile(copied, exe, 0o755))
	c := exec.Command(copied, "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = []string{"INNER_DIR=" + dir}
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name())
}

func TestReadOnlyDataDirectory(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_RDONLY, "size=16k"))
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	err := CheckWritable(dir)
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	require.ErrorContains(t, err, "read-only")
}
