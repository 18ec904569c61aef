package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// enough is when something is taken to happen never.
const enough = 60 * time.Second

// appliance is one installation; it may run several times.
type appliance struct {
	whole  *testing.T
	t      *testing.T // the step under way, or whole
	b      built
	dir    string // everything of it; open to all users
	listen string
	client *api.Client
	token  string // of the first administrator
	top    string // keys of the appliance as a whole, as YAML
	cgroup string // name of its cgroup, once noted
	attr   *syscall.SysProcAttr
	env    []string

	cmd  *exec.Cmd
	out  *output
	done chan struct{} // closed when the run has ended
}

// output may be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// install makes the directories of an appliance that is not started yet.
func install(t *testing.T) *appliance {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git in PATH")
	}
	b, err := build()
	require.NoError(t, err)
	dir, err := os.MkdirTemp("/tmp", "e2e-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	a := &appliance{whole: t, t: t, b: b, dir: dir, listen: freeAddr(t)}
	for _, d := range []string{dir, a.data(), a.conf(), a.conf() + "/services.d", a.src()} {
		require.NoError(t, os.MkdirAll(d, 0o755))
		require.NoError(t, os.Chmod(d, 0o755))
	}
	a.configureAll(nil)
	a.client = api.Dial(filepath.Join(a.data(), "run", "admin.sock"), "e2e test")
	t.Cleanup(a.client.Close)
	return a
}

func freeAddr(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// step is a subtest that the following ones build on: its failure ends the test.
func (a *appliance) step(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	whole := a.t
	ok := t.Run(name, func(t *testing.T) {
		a.t = t
		f(t)
	})
	a.t = whole
	if !ok {
		t.FailNow()
	}
}

func (a *appliance) data() string { return filepath.Join(a.dir, "data") }
func (a *appliance) conf() string { return filepath.Join(a.dir, "conf") }
func (a *appliance) src() string  { return filepath.Join(a.dir, "src") }

// configure writes appliance.yaml with keys of one service.
func (a *appliance) configure(service string, lines ...string) {
	a.t.Helper()
	a.configureAll(map[string][]string{service: lines})
}

// configureAll writes it with keys of any number of services; the ports are the appliance's choice.
func (a *appliance) configureAll(services map[string][]string) {
	a.t.Helper()
	yaml := "services:\n"
	if len(services) == 0 {
		yaml = "services: {}\n"
	}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		yaml += "  " + name + ":\n"
		for _, line := range services[name] {
			yaml += "    " + line + "\n"
		}
	}
	require.NoError(a.t, os.WriteFile(filepath.Join(a.conf(), "appliance.yaml"), []byte(a.top+yaml), 0o644))
}

// secret writes a secret of the site's own.
func (a *appliance) secret(name, value string) {
	a.t.Helper()
	require.NoError(a.t, os.MkdirAll(filepath.Join(a.conf(), "secrets"), 0o700))
	require.NoError(a.t, os.WriteFile(filepath.Join(a.conf(), "secrets", name), []byte(value+"\n"), 0o600))
}

// dropIn writes a service of the site's own.
func (a *appliance) dropIn(name, yaml string) {
	a.t.Helper()
	require.NoError(a.t, os.WriteFile(filepath.Join(a.conf(), "services.d", name+".yaml"), []byte(yaml), 0o644))
}

// start begins a run and does not wait.
func (a *appliance) start(args ...string) {
	a.t.Helper()
	args = append([]string{"--data", a.data(), "--config", filepath.Join(a.conf(), "appliance.yaml"), "run", "--release", a.b.release, "--listen", a.listen}, args...)
	cmd := exec.Command(a.b.binary, args...)
	out, done := new(output), make(chan struct{})
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = 5 * time.Second
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), a.env...)
	cmd.SysProcAttr = a.attr
	require.NoError(a.t, cmd.Start())
	go func() {
		cmd.Wait() // the exit code is in ProcessState
		close(done)
	}()
	a.cmd, a.out, a.done = cmd, out, done
	a.whole.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(2 * enough):
			cmd.Process.Kill()
			<-done
			a.whole.Error("the appliance did not stop")
		}
		if a.whole.Failed() {
			a.whole.Logf("run said:\n%s", out)
			for _, name := range []string{"postgres", "migrator", "frontend", "searcher", "gitserver", "worker"} {
				text, _ := os.ReadFile(filepath.Join(a.data(), "logs", name, "current")) // there may be none yet
				a.whole.Logf("%s said last:\n%s", name, text[max(0, len(text)-1500):])
			}
		}
	})
}

// up starts it and waits until searches are answered and everything wanted is ready.
func (a *appliance) up(args ...string) {
	a.t.Helper()
	a.start(args...)
	a.ready()
}

// ready waits until searches are answered and everything wanted is ready.
func (a *appliance) ready() {
	a.t.Helper()
	last := ""
	ok := a.eventually(func() bool { last = a.missing(); return last == "" })
	require.True(a.t, ok, "not ready: %s\n%s", last, a.out)
}

// missing is what is not ready; empty when all is.
func (a *appliance) missing() string {
	st, err := a.client.Status(context.Background(), nil)
	if err != nil {
		return err.Error()
	}
	var missing []string
	for _, s := range st.Services {
		if s.Wanted && s.State != api.Ready {
			missing = append(missing, s.Name+" is "+string(s.State)+" "+s.Reason)
		}
	}
	if resp, err := http.Get(a.url("/-/appliance/readyz")); err != nil {
		missing = append(missing, err.Error())
	} else {
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			missing = append(missing, "readyz is "+resp.Status)
		}
	}
	return strings.Join(missing, "; ")
}

// eventually polls; it gives up when the run has ended.
func (a *appliance) eventually(is func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * enough)
	for !is() {
		select {
		case <-tick.C:
		case <-a.done:
			return is()
		case <-deadline:
			return false
		}
	}
	return true
}

// eventuallyAfter polls also when the run has ended.
func (a *appliance) eventuallyAfter(is func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(enough); !is(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// status gives the instances by name.
func (a *appliance) status() (api.Appliance, map[string]api.Service) {
	a.t.Helper()
	st, err := a.client.Status(context.Background(), nil)
	require.NoError(a.t, err)
	by := map[string]api.Service{}
	for _, s := range st.Services {
		name := s.Name
		if s.Replicas > 1 {
			name = fmt.Sprintf("%s/%d", name, s.Instance)
		}
		by[name] = s
	}
	return st.Appliance, by
}

// service gives one service, also while a new supervisor comes up.
func (a *appliance) service(name string) api.Service {
	a.t.Helper()
	var s api.Service
	require.True(a.t, a.eventually(func() bool {
		st, err := a.client.Status(context.Background(), []string{name})
		if err == nil && len(st.Services) == 1 {
			s = st.Services[0]
		}
		return s.Name != ""
	}), "status of %s", name)
	return s
}

// until waits for a service to be as wished.
func (a *appliance) until(name string, is func(api.Service) bool) api.Service {
	a.t.Helper()
	var s api.Service
	require.True(a.t, a.eventually(func() bool { s = a.service(name); return is(s) }), "%s is %+v\n%s", name, &s, a.out)
	return s
}

// exit waits for the end of the run and gives its code.
func (a *appliance) exit() int {
	a.t.Helper()
	select {
	case <-a.done:
		return a.cmd.ProcessState.ExitCode()
	case <-time.After(2 * enough):
		a.t.Fatalf("still running: %s", a.out)
		return -1
	}
}

// stop is the ordered stop.
func (a *appliance) stop() int {
	a.t.Helper()
	require.NoError(a.t, a.cmd.Process.Signal(syscall.SIGTERM))
	return a.exit()
}

func (a *appliance) url(path string) string { return "http://" + a.listen + path }

func (a *appliance) kill(pid int) {
	a.t.Helper()
	require.Greater(a.t, pid, 1)
	require.NoError(a.t, syscall.Kill(pid, syscall.SIGKILL))
}
