package vm

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestRun(t *testing.T) {
	Run(t, ".", "TestGuest", map[string]string{"/bin/sh": "/bin/sh", "/data/mountinfo": "/proc/self/mountinfo"})
}

func inGuest(t *testing.T) {
	t.Helper()
	if !Inside() {
		t.Skip("runs in the virtual machine of TestRun")
	}
}

func TestGuestHasCgroup2WithEveryController(t *testing.T) {
	inGuest(t)
	data, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers")
	require.NoError(t, err)
	for _, c := range []string{"memory", "cpu", "pids", "io", "cpuset"} {
		require.Contains(t, strings.Fields(string(data)), c)
	}
}

func TestGuestHasPressureFigures(t *testing.T) {
	inGuest(t)
	for _, what := range []string{"cpu", "memory", "io"} {
		data, err := os.ReadFile("/proc/pressure/" + what)
		require.NoError(t, err)
		require.Contains(t, string(data), "some avg10=")
	}
}

func TestGuestLowersOOMScoreAndRaisesHardLimits(t *testing.T) {
	inGuest(t)
	require.NoError(t, os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0))
	require.NoError(t, os.WriteFile("/proc/self/oom_score_adj", []byte("0"), 0))
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	files.Max += 1000
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files))
}

func TestGuestRunsProgramsOfTheHostAsAnotherUser(t *testing.T) {
	inGuest(t)
	require.NotEqual(t, 1, os.Getpid())
	cmd := exec.Command("sh", "-c", "ulimit -c; echo /data/*")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1000, Gid: 1000}}
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "/data/mountinfo")
}

func TestGuestHasLoopback(t *testing.T) {
	inGuest(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.NoError(t, unix.Access("/dev/shm", unix.W_OK))
}

func TestVerdict(t *testing.T) {
	good := "boot\n=== RUN   TestA\n--- PASS: TestA (0.1s)\n--- SKIP: TestB (0.0s)\nPASS\n\n" + ExitLine(0) + "\n"
	for name, tc := range map[string]struct {
		console string
		err     error
		want    string // part of the fault; empty for none
	}{
		"passed":          {console: good},
		"qemu failed":     {console: good, err: errors.New("killed"), want: "run the virtual machine: killed"},
		"a test failed":   {console: "--- PASS: TestA (0.1s)\n--- FAIL: TestB (0.1s)\nFAIL\n\n" + ExitLine(1) + "\n", want: "tests in the virtual machine failed"},
		"none matched":    {console: "testing: warning: no tests to run\nPASS\n\n" + ExitLine(0) + "\n", want: "no test in the virtual machine passed"},
		"only skipped":    {console: "--- SKIP: TestA (0.1s)\nPASS\n\n" + ExitLine(0) + "\n", want: "no test in the virtual machine passed"},
		"kernel panicked": {console: "--- PASS: TestA (0.1s)\nKernel panic\n", want: "tests in the virtual machine failed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, fault := verdict(tc.console, tc.err)
			if tc.want == "" {
				require.NoError(t, fault)
				return
			}
			require.ErrorContains(t, fault, tc.want)
		})
	}
	skipped, _ := verdict(good, nil)
	require.Equal(t, []string{"TestB"}, skipped)
}

func TestInitramfsIsReadByCpio(t *testing.T) {
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("needs cpio")
	}
	dir := t.TempDir()
	odd := filepath.Join(dir, "odd") // a size that needs padding
	require.NoError(t, os.WriteFile(odd, []byte("12345"), 0o751))
	name, err := write(filepath.Join(dir, "initramfs"), map[string]string{"/a/b/odd": odd, "/init": odd})
	require.NoError(t, err)
	in, err := os.Open(name)
	require.NoError(t, err)
	defer in.Close()
	cmd := exec.Command(cpio, "--extract", "--make-directories", "--quiet")
	cmd.Dir, cmd.Stdin = t.TempDir(), in
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	data, err := os.ReadFile(filepath.Join(cmd.Dir, "a/b/odd"))
	require.NoError(t, err)
	require.Equal(t, "12345", string(data))
	info, err := os.Stat(filepath.Join(cmd.Dir, "init"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o751), info.Mode())
	require.DirExists(t, filepath.Join(cmd.Dir, "proc"))
}

func TestMissingFileIsNamed(t *testing.T) {
	_, err := write(filepath.Join(t.TempDir(), "initramfs"), map[string]string{"/x": "/absent/file"})
	require.ErrorContains(t, err, "file /x for the virtual machine: open /absent/file")
	_, err = withLibraries(t.Context(), map[string]string{"x": "/bin/sh"})
	require.ErrorContains(t, err, "must be absolute")
}
