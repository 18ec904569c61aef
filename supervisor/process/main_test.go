package process

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// patience bounds every wait for another process on a slow machine.
const patience = 30 * time.Second

// tick is how often a condition of another process is looked at.
const tick = 5 * time.Millisecond

// roles are what the test binary does when it is started as somebody's child. Every one of them ends by itself after patience.
var roles = map[string]func(args []string){
	"exit": func(args []string) {
		var code int
		_, _ = fmt.Sscan(args[0], &code)
		os.Exit(code)
	},
	"sleep": func([]string) { fmt.Println("sleeping"); time.Sleep(patience) },
	"deaf": func([]string) {
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		fmt.Println("deaf")
		time.Sleep(patience)
	},
	"describe": func([]string) { _ = json.NewEncoder(os.Stdout).Encode(describeSelf()) },
	"escape": func(args []string) { // becomes a grandchild in a session of its own, whose parent is gone
		if len(args) > 0 {
			fmt.Println("escaped", os.Getpid())
			time.Sleep(patience)
			return
		}
		c := exec.Command("/proc/self/exe")
		c.Env = []string{"TEST_ROLE=escape again"}
		c.Stdout = os.Stdout
		c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		_ = c.Start()
	},
	"bomb": func(args []string) { // a bounded fork bomb: 5 generations of two, and everybody stays
		var depth int
		_, _ = fmt.Sscan(args[0], &depth)
		fmt.Println("bomb", os.Getpid())
		for i := 0; depth > 0 && i < 2; i++ {
			c := exec.Command("/proc/self/exe")
			c.Env = []string{fmt.Sprintf("TEST_ROLE=bomb %d", depth-1)}
			c.Stdout = os.Stdout
			c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			_ = c.Start()
		}
		time.Sleep(patience)
	},
	"leaderless": func([]string) {
		go leaderless()
		time.Sleep(patience)
	},
	"zombies": func([]string) { // three children that it never waits for
		for range 3 {
			c := exec.Command("/proc/self/exe")
			c.Env = []string{"TEST_ROLE=exit 0"}
			_ = c.Start()
		}
		fmt.Println("zombies")
		time.Sleep(patience)
	},
	"write": func(args []string) {
		fmt.Println("writing")
		_ = os.WriteFile(args[0], make([]byte, 1<<20), 0o600)
	},
	"killgroup": func([]string) { _ = syscall.Kill(0, syscall.SIGKILL) },
}

// leaderless ends the main thread, whichever goroutine gets hold of it; the others live on.
func leaderless() {
	runtime.LockOSThread() // for ever: the next goroutine gets another thread
	if unix.Gettid() != os.Getpid() {
		go leaderless()
		time.Sleep(patience)
	}
	fmt.Println("leaderless")
	_, _, _ = unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
}

// programOfTests is this test binary, where every user can execute it.
var programOfTests string

func TestMain(m *testing.M) {
	if role, ok := os.LookupEnv("TEST_ROLE"); ok {
		words := strings.Fields(role)
		roles[words[0]](words[1:])
		return
	}
	if role, ok := os.LookupEnv("TEST_SETUP"); ok { // a test run under special conditions: see inner
		setups[role]()
	}
	dir, err := os.MkdirTemp("", "process-test-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err == nil {
		programOfTests = filepath.Join(dir, "role")
		err = copyFile("/proc/self/exe", programOfTests, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func copyFile(from, to string, mode os.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

func newSpawner(t *testing.T) *Spawner {
	t.Helper()
	s, err := NewSpawner()
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// role is the Spec of a child in one of the roles, as our own user.
func role(words string, env ...string) Spec {
	return Spec{Program: programOfTests, Argv: []string{"role"}, Env: append([]string{"TEST_ROLE=" + words, "GORACE=atexit_sleep_ms=0"}, env...), Dir: "/", UID: NoChange, CgroupFD: -1}
}

// child is a started process and its output.
type child struct {
	*Process
	out *bufio.Reader
}

// start starts spec and sees to its end.
func start(t *testing.T, s *Spawner, spec Spec) child {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	spec.Output = w
	p, err := s.Start(spec)
	require.NoError(t, w.Close())
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = p.Signal(syscall.SIGKILL)
		_, _ = p.Wait()
		_ = p.Reap()
		_ = r.Close()
	})
	return child{p, bufio.NewReader(r)}
}

// line is the next line of output.
func (c child) line(t *testing.T) string {
	t.Helper()
	text, err := c.out.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(text)
}

// wait is its end.
func (c child) wait(t *testing.T) Exit {
	t.Helper()
	exit, err := c.Wait()
	require.NoError(t, err)
	return exit
}

func needRoot(t *testing.T) {
	t.Helper()
	if !Capable("SETUID", "SETGID", "KILL", "SETPCAP") {
		t.Skip("needs root: changes users")
	}
}

func asUser(spec Spec, uid int, groups ...int) Spec {
	spec.UID, spec.GID, spec.Groups = uid, uid, groups
	return spec
}

// self is what a child can say about how it was born.
type self struct {
	PID, SID, PGID, UID, GID, Nice, Umask int
	Groups                                []int
	Status                                map[string]string // of /proc/self/status
	OOMScoreAdj                           string
	Dir                                   string
	FDs                                   []string
	Env                                   []string
}

func describeSelf() self {
	var d self
	d.PID, d.UID, d.GID = os.Getpid(), os.Getuid(), os.Getgid()
	d.SID, _ = unix.Getsid(0)
	d.PGID = unix.Getpgrp()
	prio, _ := unix.Getpriority(unix.PRIO_PROCESS, 0)
	d.Nice = 20 - prio
	d.Umask = unix.Umask(0)
	d.Groups, _ = os.Getgroups()
	d.Status = map[string]string{}
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			d.Status[k] = strings.TrimSpace(v)
		}
	}
	adj, _ := os.ReadFile("/proc/self/oom_score_adj")
	d.OOMScoreAdj = strings.TrimSpace(string(adj))
	d.Dir, _ = os.Getwd()
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.Contains(target, "anon_inode") {
			d.FDs = append(d.FDs, e.Name()+" "+target)
		}
	}
	d.Env = os.Environ()
	return d
}

func describe(t *testing.T, s *Spawner, spec Spec) self {
	t.Helper()
	c := start(t, s, spec)
	var d self
	require.NoError(t, json.NewDecoder(c.out).Decode(&d))
	require.Equal(t, 0, c.wait(t).Code)
	return d
}

// setups prepare a run of this test binary before its tests: the conditions that a whole process must be under.
var setups = map[string]func(){
	"ignore":    func() { signal.Ignore(syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGPIPE) },
	"no-clone3": denyClone3,
}

// inner runs one test of this binary again in a process with the given setup, as the given user.
func inner(t *testing.T, setup string, uid int, test string) {
	t.Helper()
	c := exec.Command(programOfTests, "-test.run=^"+test+"$", "-test.v", "-test.timeout=60s")
	c.Env = []string{"PATH=/usr/bin:/bin", "INNER=" + test}
	if setup != "" {
		c.Env = append(c.Env, "TEST_SETUP="+setup)
	}
	if uid != NoChange {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
		c.Dir = "/"
	}
	out, err := c.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+test, "%s", out)
}

// isInner reports that this is the run that inner started.
func isInner(test string) bool { return os.Getenv("INNER") == test }
