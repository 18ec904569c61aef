package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// site is a whole appliance of the site's own services, as a person runs it.
type site struct {
	t      *testing.T
	dir    string
	listen string
	binary string
	client *api.Client
	cmd    *exec.Cmd
	ended  chan error
}

// builtOnce is the appliance that all tests here run.
var builtOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("/tmp", "real-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "sourcegraph")
	build := exec.Command("go", "build", "-o", binary, "../cmd/sourcegraph")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return binary, os.Chmod(dir, 0o755)
})

// newSite writes the services; start runs them.
func newSite(t *testing.T, services string) *site {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and starts the whole appliance")
	}
	binary, err := builtOnce()
	require.NoError(t, err)
	dir, err := os.MkdirTemp("/tmp", "site-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &site{t: t, dir: dir, listen: freeAddress(t), binary: binary, client: api.Dial(filepath.Join(dir, "data", "run", "admin.sock"), "test")}
	t.Cleanup(s.client.Close)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "services.d"), 0o755))
	s.write(services)
	return s
}

func (s *site) write(services string) {
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, "services.d", "test.yaml"), []byte(services), 0o644))
}

func (s *site) command() *exec.Cmd {
	return exec.Command(s.binary, "run", "--data", filepath.Join(s.dir, "data"), "--config", filepath.Join(s.dir, "appliance.yaml"), "--release", "none", "--listen", s.listen)
}

func (s *site) start() {
	s.t.Helper()
	s.cmd = s.command()
	said, err := os.OpenFile(filepath.Join(s.dir, "said"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(s.t, err)
	defer said.Close()
	s.cmd.Stdout, s.cmd.Stderr = said, said
	require.NoError(s.t, s.cmd.Start())
	ended := make(chan error, 1)
	s.ended = ended
	go func(cmd *exec.Cmd) { ended <- cmd.Wait() }(s.cmd)
	s.t.Cleanup(func() { s.stop() })
}

// stop ends the appliance in order and gives its exit code; -1 if it has ended before.
func (s *site) stop() int {
	if s.cmd == nil {
		return -1
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
	err := <-s.ended
	s.cmd = nil
	if s.t.Failed() {
		said, _ := os.ReadFile(filepath.Join(s.dir, "said"))
		s.t.Logf("it said:\n%s", said)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

func (s *site) status() map[string]api.Service {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	st, err := s.client.Status(ctx, nil)
	out := map[string]api.Service{}
	if err != nil {
		return out
	}
	out[""] = api.Service{PID: st.Appliance.PID}
	for _, svc := range st.Services {
		name := svc.Name
		if svc.Replicas > 1 {
			name = fmt.Sprintf("%s/%d", name, svc.Instance)
		}
		out[name] = svc
	}
	return out
}

// until waits for a service to be as wanted, and returns it.
func (s *site) until(name string, is func(api.Service) bool) (found api.Service) {
	s.t.Helper()
	ok := func() bool {
		svc, there := s.status()[name]
		found = svc
		return there && is(svc)
	}
	if !waitFor(60*time.Second, ok) {
		s.t.Fatalf("%s did not become as wanted; it is %s (%s), run %d", name, found.State, found.Reason, found.Run)
	}
	return found
}

func waitFor(d time.Duration, ok func() bool) bool {
	for deadline := time.Now().Add(d); time.Now().Before(deadline); {
		if ok() {
			return true
		}
		pause(context.Background(), 10*time.Millisecond)
	}
	return false
}

func in(states ...api.State) func(api.Service) bool {
	return func(svc api.Service) bool {
		for _, state := range states {
			if svc.State == state {
				return true
			}
		}
		return false
	}
}

func lives(pid int) bool { return syscall.Kill(pid, 0) == nil }

// TestE54DeathOfStage1IsNoOutage: ten kills of the supervisor restart no service, and the front door answers throughout.
func TestE54DeathOfStage1IsNoOutage(t *testing.T) {
	s := newSite(t, `
a: {command: [/bin/sleep, "1000"]}
b: {command: [/bin/sleep, "1000"], needs: [a]}
`)
	s.start()
	b := s.until("b", in(api.Ready))
	a := s.status()["a"]
	stop, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-stop:
				failed <- nil
				return
			default:
			}
			resp, err := http.Get("http://" + s.listen + "/-/appliance/healthz")
			if err == nil {
				resp.Body.Close()
			}
			if err != nil || resp.StatusCode != http.StatusOK {
				failed <- fmt.Errorf("the door answered %v, %w", resp, err)
				return
			}
		}
	}()
	for range 10 {
		before := s.status()[""].PID
		kill(t, before)
		require.True(t, waitFor(60*time.Second, func() bool { pid := s.status()[""].PID; return pid != 0 && pid != before }))
		got := s.status()
		require.Equal(t, []int{a.PID, b.PID}, []int{got["a"].PID, got["b"].PID})
		require.Equal(t, a.Run, got["a"].Run)
		require.Equal(t, a.Since, got["a"].Since, "adoption is an event, not a state")
	}
	close(stop)
	require.NoError(t, <-failed)
	kill(t, a.PID)
	s.until("a", func(svc api.Service) bool { return svc.State == api.Ready && svc.Run == a.Run+1 })
	require.Equal(t, "KILL", s.status()["a"].LastExit.Signal, "how an adopted process ended is known")
	require.Equal(t, 0, s.stop())
	require.False(t, lives(b.PID))
}

// TestE54DeathOfStage0LeavesNothing: what is not supervised does not run, and the next start is a clean one.
func TestE54DeathOfStage0LeavesNothing(t *testing.T) {
	s := newSite(t, `
a: {command: [/bin/sh, -c, "setsid sh -c 'trap \"\" TERM; sleep 600' & exec sleep 1000"]}
`)
	s.start()
	a := s.until("a", in(api.Ready))
	kill(t, s.cmd.Process.Pid)
	<-s.ended
	s.cmd = nil
	require.True(t, waitFor(60*time.Second, func() bool { return !lives(a.PID) && len(s.status()) == 0 }))
	s.start()
	next := s.until("a", in(api.Ready))
	require.NotEqual(t, a.PID, next.PID)
	require.Equal(t, uint64(1), next.Run, "nothing is adopted across stage 0")
}

// TestE1EscapeesDieWithTheirService: a double-forked setsid daemon deaf to TERM is gone when the service is stopped.
func TestE1EscapeesDieWithTheirService(t *testing.T) {
	s := newSite(t, `
a: {command: [/bin/sh, -c, "(setsid sh -c 'trap \"\" TERM; echo $$ > $HOME/escapee; exec sleep 600' &) ; exec sleep 1000"]}
`)
	s.start()
	s.until("a", in(api.Ready))
	file := filepath.Join(s.dir, "data", "shared", "home", "a", "0", "escapee")
	var escapee int
	require.True(t, waitFor(30*time.Second, func() bool {
		text, err := os.ReadFile(file)
		_, scanned := fmt.Sscan(string(text), &escapee)
		return err == nil && scanned == nil
	}))
	require.True(t, lives(escapee))
	op, err := s.client.Stop(t.Context(), []string{"a"})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, op.Killed)
	require.False(t, lives(escapee))
	require.Equal(t, api.Stopped, s.status()["a"].State)
}

// TestE5DeafServiceIsKilledAndSaid: after its grace, in the answer, in the events and in the exit code of run.
func TestE5DeafServiceIsKilledAndSaid(t *testing.T) {
	s := newSite(t, `
deaf: {command: [/bin/sh, -c, "trap '' TERM; echo deaf; while :; do sleep 1; done"], ready: {log: deaf}, stop: {grace: 300ms}}
`)
	s.start()
	s.until("deaf", in(api.Ready))
	op, err := s.client.Restart(t.Context(), []string{"deaf"})
	require.NoError(t, err)
	require.Equal(t, []string{"deaf"}, op.Killed)
	said := false
	for ev, err := range s.client.Events(t.Context(), api.EventQuery{Services: []string{"deaf"}}) {
		require.NoError(t, err)
		said = said || ev.Message == "still there after its grace period: killed"
	}
	require.True(t, said)
	require.Equal(t, 3, s.stop())
}

// TestE20MainExitsAndIsStartedAgain, whatever its code, once what it left is gone.
func TestE20MainExitsAndIsStartedAgain(t *testing.T) {
	s := newSite(t, `
a: {command: [/bin/sh, -c, "sleep 1001 & sleep 1.5"]}
`)
	s.start()
	first := s.until("a", in(api.Ready))
	s.until("a", func(svc api.Service) bool { return svc.Run > first.Run && svc.State == api.Ready })
	require.Equal(t, api.CauseExit, s.status()["a"].LastExit.Cause)
}

// TestE23MissingProgramFailsAndSaysWhich, and the others run.
func TestE23MissingProgramFailsAndSaysWhich(t *testing.T) {
	s := newSite(t, `
gone: {command: [/nowhere/program]}
after: {command: [/bin/sleep, "1000"], needs: [gone]}
other: {command: [/bin/sleep, "1000"]}
`)
	s.start()
	gone := s.until("gone", in(api.Failed))
	require.Contains(t, gone.Reason, "/nowhere/program")
	s.until("other", in(api.Ready))
	require.Equal(t, []string{"gone"}, s.until("after", in(api.Waiting)).WaitingFor)
	chain, err := s.client.Why(t.Context(), "after")
	require.NoError(t, err)
	require.Equal(t, []string{"after", "gone"}, []string{chain[0].Service, chain[1].Service})
	require.Contains(t, chain[1].Next, "sourcegraph start gone")
}

// TestE40CrashLoopComesBackByItself once its cause is mended.
func TestE40CrashLoopComesBackByItself(t *testing.T) {
	s := newSite(t, `
a: {command: [/bin/sh, -c, "test -e $HOME/mended && exec sleep 1000; exit 7"], restart: {max: 500ms}}
`)
	s.start()
	a := s.until("a", func(svc api.Service) bool { return svc.State == api.Backoff && svc.Restarts >= 3 })
	require.Equal(t, 7, a.LastExit.Code)
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "data", "shared", "home", "a", "0", "mended"), nil, 0o644))
	s.until("a", in(api.Ready))
}

// TestE41OutOfMemoryIsItsOwnCause, with the limit and the remedy in the evidence.
func TestE41OutOfMemoryIsItsOwnCause(t *testing.T) {
	s := newSite(t, `
hog: {command: [/bin/sh, -c, "x=$(head -c 200M /dev/zero | tr '\\0' x); sleep 1000"], budget: {memory: 32MiB}, restart: {max: 30s}}
`)
	s.start()
	hog := s.until("hog", func(svc api.Service) bool { return svc.LastExit != nil })
	require.Equal(t, api.CauseOOM, hog.LastExit.Cause)
}

// TestStopTakesDependentsAlongAndStartBringsThemBack; restart touches one.
func TestStopTakesDependentsAlongAndStartBringsThemBack(t *testing.T) {
	s := newSite(t, `
a: {command: [/bin/sleep, "1000"]}
b: {command: [/bin/sleep, "1000"], needs: [a]}
`)
	s.start()
	b := s.until("b", in(api.Ready))
	_, err := s.client.Restart(t.Context(), []string{"a"})
	require.NoError(t, err)
	require.Equal(t, b.PID, s.status()["b"].PID)
	op, err := s.client.Stop(t.Context(), []string{"a"})
	require.NoError(t, err)
	require.Equal(t, []string{"b", "a"}, op.Affected)
	require.Equal(t, []string{"a"}, s.until("b", in(api.Waiting)).WaitingFor)

	before := s.status()[""].PID // an operator's stop outlives the supervisor
	kill(t, before)
	require.True(t, waitFor(60*time.Second, func() bool { pid := s.status()[""].PID; return pid != 0 && pid != before }))
	require.Equal(t, api.Stopped, s.status()["a"].State)

	_, err = s.client.Start(t.Context(), []string{"a"})
	require.NoError(t, err)
	s.until("b", in(api.Ready))
}

// TestReloadStopsRestartsAndStarts what the new configuration says, and an invalid one is refused while the old runs (E30).
func TestReloadStopsRestartsAndStarts(t *testing.T) {
	s := newSite(t, `
gone: {command: [/bin/sleep, "1000"]}
same: {command: [/bin/sleep, "1000"]}
other: {command: [/bin/sleep, "1000"]}
`)
	s.start()
	s.until("other", in(api.Ready))
	same := s.until("same", in(api.Ready))
	s.write("same: {command: [/bin/sleep, \"1000\"], needs: [other]}\nother: {command: [/bin/sleep, \"1000\"], needs: [same]}\n")
	_, err := s.client.Reload(t.Context())
	require.ErrorContains(t, err, "other")
	require.Equal(t, same.PID, s.status()["same"].PID)
	s.write("same: {command: [/bin/sleep, \"1000\"]}\nother: {command: [/bin/sleep, \"1001\"]}\nfresh: {command: [/bin/sleep, \"1000\"]}\n")
	change, err := s.client.Reload(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"same"}, change.Unchanged)
	require.Equal(t, []string{"other"}, change.Restarted)
	s.until("fresh", in(api.Ready))
	require.Equal(t, same.PID, s.status()["same"].PID)
	require.NotContains(t, s.status(), "gone")
}

// TestE68SecondApplianceIsRefused with exit code 6 and the holder's name.
func TestE68SecondApplianceIsRefused(t *testing.T) {
	s := newSite(t, `a: {command: [/bin/sleep, "1000"]}`)
	s.start()
	s.until("a", in(api.Ready))
	out, err := s.command().CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 6, exit.ExitCode(), "%s", out)
	require.Contains(t, string(out), fmt.Sprint(s.cmd.Process.Pid))
}

// TestInvalidConfigurationEndsRunWith2 and names file, line and column.
func TestInvalidConfigurationEndsRunWith2(t *testing.T) {
	s := newSite(t, "a: {command: [/bin/sleep], comand: 7}\n")
	out, err := s.command().CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 2, exit.ExitCode(), "%s", out)
	require.Contains(t, string(out), "test.yaml:1:28")
}

// TestProbesOfEveryKind: a log line, a notification and a command each make a service ready, and not before.
func TestProbesOfEveryKind(t *testing.T) {
	s := newSite(t, `
logs: {command: [/bin/sh, -c, "sleep 0.3; echo now serving; exec sleep 1000"], ready: {log: "now serv"}}
probed: {command: [/bin/sh, -c, "sleep 0.3; touch $HOME/up; exec sleep 1000"], ready: {exec: [/bin/sh, -c, "test -e $HOME/up"], every: 1s}}
never: {command: [/bin/sleep, "1000"], ready: {tcp: true, port: main}, ports: {main: 0}}
`)
	s.start()
	s.until("logs", in(api.Ready))
	s.until("probed", in(api.Ready))
	require.Equal(t, api.Starting, s.status()["never"].State)
}

// TestE25FailedStartsLeaveNothing: a start that fails again and again leaves no descriptor and no cgroup behind.
func TestE25FailedStartsLeaveNothing(t *testing.T) {
	s := newSite(t, "")
	program := filepath.Join(s.dir, "busy")
	b, err := os.ReadFile("/bin/sleep")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, b, 0o755))
	held, err := os.OpenFile(program, os.O_WRONLY, 0) // ETXTBSY for whoever executes it: a fault that passes
	require.NoError(t, err)
	defer held.Close()
	s.write("busy: {command: [" + program + ", \"1000\"], restart: {max: 100ms}}")
	s.start()
	descriptors := func() int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.status()[""].PID))
		require.NoError(t, err)
		return len(list)
	}
	s.until("busy", func(svc api.Service) bool { return svc.Run >= 5 })
	before := descriptors()
	s.until("busy", func(svc api.Service) bool { return svc.Run >= 45 })
	require.Less(t, descriptors(), before+20)
	held.Close()
	s.until("busy", in(api.Ready))
}

// TestE54EditedConfigurationWaitsForReload: a new stage 1 goes on with the accepted plan; what left the configuration is stopped by the
// reload, not forgotten, and what changed in it is restarted by the reload.
func TestE54EditedConfigurationWaitsForReload(t *testing.T) {
	const two = "gone: {command: [sleep, \"1000\"]}\n"
	s := newSite(t, two+"kept: {command: [sleep, \"1000\"]}\n")
	s.start()
	gone, kept := s.until("gone", in(api.Ready)), s.until("kept", in(api.Ready))
	s.write("kept: {command: [sleep, \"2000\"]}\n")
	first := s.status()[""].PID
	require.NoError(t, syscall.Kill(first, syscall.SIGKILL))
	require.True(t, waitFor(30*time.Second, func() bool { pid := s.status()[""].PID; return pid != 0 && pid != first }))
	require.Equal(t, gone.PID, s.until("gone", in(api.Ready)).PID)
	require.Equal(t, kept.PID, s.until("kept", in(api.Ready)).PID)
	change, err := s.client.Reload(context.Background())
	require.NoError(t, err)
	require.Equal(t, []string{"gone"}, change.Stopped)
	require.Equal(t, []string{"kept"}, change.Restarted)
	require.False(t, lives(gone.PID))
	s.until("kept", func(svc api.Service) bool { return svc.State == api.Ready && svc.PID != kept.PID })
}

// TestReloadDoesNotUndoAnOperatorsStop: it holds until an operator's start, which runs the new definition.
func TestReloadDoesNotUndoAnOperatorsStop(t *testing.T) {
	s := newSite(t, "a: {command: [sleep, \"1000\"]}\nb: {command: [sleep, \"1000\"]}\n")
	s.start()
	s.until("a", in(api.Ready))
	s.until("b", in(api.Ready))
	_, err := s.client.Stop(context.Background(), []string{"a"})
	require.NoError(t, err)
	s.write("a: {command: [sleep, \"2000\"]}\nb: {command: [sleep, \"2000\"]}\n")
	_, err = s.client.Reload(context.Background())
	require.NoError(t, err)
	s.until("b", func(svc api.Service) bool { return svc.State == api.Ready && svc.Run == 2 }) // told after a was
	a := s.status()["a"]
	require.Equal(t, api.Stopped, a.State, "the reload started it")
	require.EqualValues(t, 1, a.Run)
	_, err = s.client.Start(context.Background(), []string{"a"})
	require.NoError(t, err)
	a = s.until("a", in(api.Ready))
	said, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", a.PID))
	require.NoError(t, err)
	require.Contains(t, string(said), "2000")
}

// TestNothingStartsDuringAShutdown: an order to run that comes while everything is being stopped is refused, and the stop is in time.
func TestNothingStartsDuringAShutdown(t *testing.T) {
	s := newSite(t, "slow: {command: [/bin/sh, -c, \"trap 'sleep 3; exit 0' TERM; while :; do sleep 0.1; done\"], stop: {grace: 20s}}\nfast: {command: [sleep, \"1000\"]}\n")
	s.start()
	s.until("slow", in(api.Ready))
	s.until("fast", in(api.Ready))
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.until("fast", in(api.Stopped))
	_, err := s.client.Start(context.Background(), []string{"fast"})
	require.ErrorContains(t, err, "stopping")
	_, err = s.client.Reload(context.Background())
	require.ErrorContains(t, err, "stopping")
	require.Zero(t, s.stop())
}
