package supervisor_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/limits/vm"
	"github.com/sourcegraph/appliance/supervisor/api"
)

// patience is for a slow, noisy machine; no test measures time with it.
const patience = 45 * time.Second

const tick = 10 * time.Millisecond

// programs are the appliance and the test binary, where any user can run them.
type programs struct{ dir, sourcegraph, role string }

// built builds the appliance once for all tests.
var built = sync.OnceValues(func() (programs, error) {
	dir, err := os.MkdirTemp("/tmp", "appliance-programs-")
	if err != nil {
		return programs{}, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return programs{}, err
	}
	p := programs{dir, filepath.Join(dir, "sourcegraph"), filepath.Join(dir, "role")}
	if vm.Inside() {
		p.sourcegraph = guestBinary
	} else {
		build := exec.Command("go", "build", "-o", p.sourcegraph, "github.com/sourcegraph/appliance/cmd/sourcegraph")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return p, fmt.Errorf("build the appliance: %w: %s", err, out)
		}
	}
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		return p, err
	}
	return p, os.WriteFile(p.role, self, 0o755)
})

func removeBuilt() {
	if p, err := built(); err == nil {
		os.RemoveAll(p.dir)
	}
}

// output collects what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// appliance is one appliance with a directory of its own. It is stopped, and nothing of it is left, when the test ends.
type appliance struct {
	t                   *testing.T
	programs            programs
	base, data, dropIns string
	address             string
	uid                 int // it runs as this user; 0: as the test itself
	args                []string
	before              []string // the command line that runs the appliance, as prlimit(1) does
	listens             bool     // the file says where, not the flag

	cmd    *exec.Cmd
	ended  chan struct{}
	out    *output
	client *api.Client
}

func newAppliance(t *testing.T) *appliance {
	t.Helper()
	p, err := built()
	require.NoError(t, err)
	base, err := os.MkdirTemp("/tmp", "appliance-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(base, 0o755))
	a := &appliance{
		t: t, programs: p, base: base, data: filepath.Join(base, "data"), dropIns: filepath.Join(base, "services.d"), address: freeAddress(t), out: &output{},
	}
	require.NoError(t, os.Mkdir(a.dropIns, 0o755))
	t.Cleanup(a.clean)
	return a
}

// asUser makes the appliance an ordinary user's.
func (a *appliance) asUser(uid int) *appliance {
	if os.Geteuid() != 0 {
		a.t.Skip("only root can become another user")
	}
	a.uid = uid
	require.NoError(a.t, os.Chown(a.base, uid, uid))
	return a
}

// eachUser runs a test as the present user, and as an ordinary one when that is root.
func eachUser(t *testing.T, test func(t *testing.T, a *appliance)) {
	t.Run("self", func(t *testing.T) {
		t.Parallel()
		test(t, newAppliance(t))
	})
	t.Run("ordinary user", func(t *testing.T) {
		t.Parallel()
		test(t, newAppliance(t).asUser(65534))
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}

// service writes a drop-in that runs the test binary in a role; more is its other keys, env pairs of its environment.
func (a *appliance) service(name, role, more string, env ...string) {
	a.t.Helper()
	text := fmt.Sprintf("%s:\n  command: [%s]\n  env:\n    TEST_ROLE: %q\n    TEST_SERVICE: %q\n    TEST_BASE: %q\n", name, a.programs.role, role, name, a.base)
	for _, pair := range env {
		key, value, _ := strings.Cut(pair, "=")
		text += fmt.Sprintf("    %s: %q\n", key, value)
	}
	for line := range strings.Lines(more) {
		text += "  " + strings.TrimRight(line, "\n") + "\n"
	}
	a.dropIn(name, text)
}

func (a *appliance) dropIn(name, text string) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(filepath.Join(a.dropIns, name+".yaml"), []byte(text), 0o644))
}

func (a *appliance) file(name string) string { return filepath.Join(a.base, name) }

// run starts the appliance in the foreground of a session of its own.
func (a *appliance) run() *appliance {
	a.t.Helper()
	args := append([]string{"--data", a.data, "--config", a.file("appliance.yaml"), "run", "--release", "none"}, a.args...)
	if !a.listens {
		args = append(args, "--listen", a.address)
	}
	argv := append([]string{a.programs.sourcegraph}, args...)
	argv = append(slices.Clone(a.before), argv...)
	a.cmd = exec.Command(argv[0], argv[1:]...)
	a.cmd.Dir = a.base
	a.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + a.base, "TEST_BASE=" + a.base}
	a.cmd.Stdout, a.cmd.Stderr = a.out, a.out
	a.cmd.WaitDelay = time.Second
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a.uid != 0 {
		a.cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.uid)}
	}
	require.NoError(a.t, a.cmd.Start())
	a.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // the state tells
		close(ended)
	}(a.cmd, a.ended)
	a.client = api.Dial(filepath.Join(a.data, "run", "admin.sock"), "test")
	return a
}

// code waits for the end of `run` and returns its exit code.
func (a *appliance) code() int {
	a.t.Helper()
	select {
	case <-a.ended:
	case <-time.After(patience):
		require.Fail(a.t, "run did not end", a.out.String())
	}
	return a.cmd.ProcessState.ExitCode()
}

// term asks for an ordered stop and returns the exit code.
func (a *appliance) term() int {
	a.t.Helper()
	require.NoError(a.t, a.cmd.Process.Signal(syscall.SIGTERM))
	return a.code()
}

func (a *appliance) context() context.Context {
	ctx, cancel := context.WithTimeout(a.t.Context(), patience)
	a.t.Cleanup(cancel)
	return ctx
}

// status is nil while nobody answers.
func (a *appliance) status() *api.Status {
	ctx, cancel := context.WithTimeout(a.t.Context(), 5*time.Second)
	defer cancel()
	st, err := a.client.Status(ctx, nil)
	if err != nil {
		return nil
	}
	return &st
}

// find is the service, or of several replicas the one, such as "shard/1"; nil if there is none.
func (a *appliance) find(name string) *api.Service {
	st := a.status()
	if st == nil {
		return nil
	}
	for i := range st.Services {
		if s := st.Services[i]; name == s.Name || s.Replicas > 1 && name == s.Name+"/"+itoa(s.Instance) {
			return &st.Services[i]
		}
	}
	return nil
}

// await waits until the service is as it should be.
func (a *appliance) await(name, what string, ok func(s *api.Service) bool) *api.Service {
	a.t.Helper()
	var s *api.Service
	a.until(name+" "+what, func() bool {
		s = a.find(name)
		return s != nil && ok(s)
	}, func() any { return s })
	return s
}

// until polls a condition of processes outside ours.
func (a *appliance) until(what string, ok func() bool, evidence ...func() any) {
	a.t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			for _, e := range evidence {
				a.t.Logf("%+v", e())
			}
			require.Fail(a.t, "not in time: "+what, a.out.String())
		}
		time.Sleep(tick)
	}
}

func (a *appliance) awaitState(name string, state api.State) *api.Service {
	a.t.Helper()
	return a.await(name, "is "+string(state), func(s *api.Service) bool { return s.State == state })
}

func (a *appliance) awaitReady(names ...string) {
	a.t.Helper()
	for _, name := range names {
		a.awaitState(name, api.Ready)
	}
}

// awaitNextRun waits until the service is ready in a run after this one.
func (a *appliance) awaitNextRun(name string, run uint64) *api.Service {
	a.t.Helper()
	return a.await(name, "is ready again", func(s *api.Service) bool { return s.State == api.Ready && s.Run > run })
}

func (a *appliance) kill(pid int, sig syscall.Signal) {
	a.t.Helper()
	require.Greater(a.t, pid, 1)
	require.NoError(a.t, syscall.Kill(pid, sig))
}

// stage1 is the supervisor's process, and awaits a new one after old.
func (a *appliance) stage1(old int) int {
	a.t.Helper()
	pid := 0
	a.until("a supervisor answers", func() bool {
		st := a.status()
		if st != nil && st.Appliance.PID != old {
			pid = st.Appliance.PID
		}
		return pid != 0
	})
	return pid
}

func (a *appliance) events(names ...string) []api.Event {
	a.t.Helper()
	var out []api.Event
	for ev, err := range a.client.Events(a.context(), api.EventQuery{Services: names}) {
		require.NoError(a.t, err)
		out = append(out, ev)
	}
	return out
}

func (a *appliance) logs(name string) []api.LogLine {
	a.t.Helper()
	var out []api.LogLine
	for line, err := range a.client.Logs(a.context(), api.LogQuery{Services: []string{name}}) {
		require.NoError(a.t, err)
		out = append(out, line)
	}
	return out
}

func (a *appliance) logged(name, text string) bool {
	for _, line := range a.logs(name) {
		if strings.Contains(line.Text, text) {
			return true
		}
	}
	return false
}

// doorAnswers asks the front door whether it lives.
func (a *appliance) doorAnswers() error {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + a.address + "/-/appliance/healthz")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("healthz: %s", resp.Status)
	}
	return nil
}

// family are the living processes of this appliance, services and escapees included.
func (a *appliance) family() (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		line, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		cwd, _ := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if bytes.Contains(env, []byte("TEST_BASE="+a.base+"\x00")) || bytes.Contains(line, []byte(a.base+"/")) || strings.HasPrefix(cwd, a.base+"/") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// noOneIsLeft waits until no process of the appliance lives.
func (a *appliance) noOneIsLeft() {
	a.t.Helper()
	a.until("nothing is left running", func() bool { return len(a.family()) == 0 }, func() any { return a.family() })
}

// clean ends whatever the test left.
func (a *appliance) clean() {
	if a.cmd != nil {
		_ = a.cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
		select {
		case <-a.ended:
		case <-time.After(20 * time.Second):
		}
	}
	for range 200 {
		pids := a.family()
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone already
		}
		time.Sleep(tick)
	}
	if a.t.Failed() {
		a.t.Logf("the appliance said:\n%s", a.out.String())
	}
	os.RemoveAll(a.base)
}

func itoa(n int) string { return strconv.Itoa(n) }
