package supervisor_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func needRoot(t *testing.T, why string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can " + why)
	}
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return strings.TrimSpace(string(out))
}

// TestE7FrozenDiskMakesAServiceUnkillable: a service that hangs in the kernel is named with what holds it, is not started again beside
// itself, holds nobody else up, and comes back when the kernel lets it go.
func TestE7FrozenDiskMakesAServiceUnkillable(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	file, freeze, thaw := a.freezable()
	a.service("frozen", "frozen", "stop: {grace: 200ms}\n", "TEST_FILE="+file)
	a.service("bystander", "idle", "")
	a.run().awaitReady("frozen", "bystander")
	freeze(a.find("frozen").PID)
	s := a.find("frozen")
	a.kill(s.PID, syscall.SIGKILL)
	go a.client.Restart(a.context(), []string{"frozen"}) // answers when it is unkillable
	stuck := a.awaitState("frozen", api.Unkillable)
	require.Regexp(t, fmt.Sprintf("still there 10s after SIGKILL: pid %d role state .+ in [a-z_]+; .* restart the machine", s.PID), stuck.Reason)
	require.Equal(t, s.Run, a.find("frozen").Run, "none is started beside the one that hangs")
	chain, err := a.client.Why(a.context(), "frozen")
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(chain[0].Evidence), "pid ")
	bystander := a.find("bystander")
	_, err = a.client.Restart(a.context(), []string{"bystander"})
	require.NoError(t, err)
	require.Greater(t, a.find("bystander").Run, bystander.Run)
	a.until("the event has the evidence", func() bool {
		return slices.ContainsFunc(a.events("frozen"), func(ev api.Event) bool {
			return ev.To == api.Unkillable && strings.Contains(fmt.Sprint(ev.Evidence), "pid ")
		})
	})

	definition, err := os.ReadFile(filepath.Join(a.dropIns, "frozen.yaml"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(a.dropIns, "frozen.yaml")))
	change, err := a.client.Reload(a.context())
	require.NoError(t, err, "a reload goes on without it")
	require.Equal(t, []string{"frozen"}, change.Stopped)
	require.Contains(t, fmt.Sprint(change.Warnings), "frozen is still there and cannot be killed")
	require.Contains(t, fmt.Sprint(change.Warnings), "pid ")
	require.False(t, a.awaitState("frozen", api.Unkillable).Wanted, "it is shown for as long as it is there")
	old := a.stage1(0)
	a.kill(old, syscall.SIGKILL)
	a.stage1(old)
	require.Equal(t, stuck.PID, a.awaitState("frozen", api.Unkillable).PID, "the next supervisor shows it, too")
	a.dropIn("frozen", string(definition))
	_, err = a.client.Reload(a.context())
	require.NoError(t, err, "nor is it started beside itself when it comes back")
	require.Equal(t, s.Run, a.find("frozen").Run)
	thaw()
	a.awaitNextRun("frozen", s.Run)
	require.Len(t, a.roles(), 2)
}

// TestLeftoverThatCannotBeKilledHoldsUpOnlyItself: one of an appliance that has died is waited for by what has its place, and by nobody else;
// it is shown with what it waits for, also where the plan has no such service any more.
func TestLeftoverThatCannotBeKilledHoldsUpOnlyItself(t *testing.T) {
	for name, planned := range map[string]bool{"planned": true, "not planned": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAppliance(t)
			file, freeze, thaw := a.freezable()
			if !planned {
				a.asUser(65534) // where no cgroup tells
			}
			a.service("frozen", "frozen", "", "TEST_FILE="+file)
			a.service("bystander", "idle", "")
			a.service("above", "idle", "needs: [frozen]\n")
			a.run().awaitReady("frozen", "bystander", "above")
			s := a.find("frozen")
			freeze(s.PID)
			a.kill(a.cmd.Process.Pid, syscall.SIGSTOP) // it must not start another
			a.kill(a.stage1(0), syscall.SIGKILL)
			a.kill(a.cmd.Process.Pid, syscall.SIGKILL)
			a.code()

			definition := map[string][]byte{}
			if !planned {
				for _, name := range []string{"frozen", "above"} {
					text, err := os.ReadFile(filepath.Join(a.dropIns, name+".yaml"))
					require.NoError(t, err)
					definition[name] = text
					require.NoError(t, os.Remove(filepath.Join(a.dropIns, name+".yaml")))
				}
			}
			a.run().awaitReady("bystander")
			stuck := a.awaitState("frozen", api.Unkillable)
			require.Equal(t, planned, stuck.Wanted)
			require.Equal(t, s.PID, stuck.PID)
			require.Regexp(t, fmt.Sprintf("left running by an earlier appliance, .*: pid %d role state .+ in [a-z_]+; .* restart the machine", s.PID), stuck.Reason)
			require.NoError(t, a.doorAnswers())
			for name, text := range definition {
				a.dropIn(name, string(text))
			}
			_, err := a.client.Reload(a.context())
			require.NoError(t, err)
			require.Equal(t, []string{"frozen"}, a.awaitState("above", api.Waiting).WaitingFor)
			require.Equal(t, s.Run, a.find("frozen").Run, "none is started beside it")
			thaw()
			a.awaitNextRun("frozen", s.Run)
			a.awaitReady("above")
		})
	}
}

// freezable mounts a file system on which the role "frozen" can be made to hang in the kernel: file is for it to write, freeze returns once it
// hangs. It is thawed and taken away when the test ends.
func (a *appliance) freezable() (file string, freeze func(pid int), thaw func()) {
	t := a.t
	t.Helper()
	needRoot(t, "mount and freeze a file system")
	for _, tool := range []string{"mkfs.ext4", "fsfreeze", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	image, mnt := a.file("image"), filepath.Join("/tmp", filepath.Base(a.base)+"-frozen")
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, 16<<20))
	command(t, "mkfs.ext4", "-q", image)
	require.NoError(t, os.Mkdir(mnt, 0o755))
	if out, err := exec.Command("mount", "-o", "loop", image, mnt).CombinedOutput(); err != nil {
		os.Remove(mnt)
		t.Skipf("no loop mount here: %s", out)
	}
	thaw = func() { _ = exec.Command("fsfreeze", "-u", mnt).Run() } // refused when it is thawed already
	t.Cleanup(func() {
		thaw()
		a.until("the mount is free", func() bool { return syscall.Unmount(mnt, 0) == nil })
		os.Remove(mnt)
	})
	t.Cleanup(a.clean) // before the mount is freed
	t.Cleanup(thaw)
	require.NoError(t, os.Chmod(mnt, 0o777))
	file = filepath.Join(mnt, "file")
	freeze = func(pid int) {
		a.until("it writes", func() bool { _, err := os.Stat(file); return err == nil })
		command(t, "fsfreeze", "-f", mnt)
		a.until("it hangs in the kernel", func() bool { return hangs(pid) })
	}
	return file, freeze, thaw
}

// hangs says whether one of the threads is in state D.
func hangs(pid int) bool {
	threads, _ := filepath.Glob("/proc/" + itoa(pid) + "/task/*/stat")
	for _, thread := range threads {
		if stat, _ := os.ReadFile(thread); strings.Contains(string(stat), ") D ") {
			return true
		}
	}
	return false
}

func TestE8StopDuringStartAndBackoffIsFinal(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.service("slow", "notify", "ready: {notify: true}\n", "TEST_FILE="+a.file("never"))
	a.service("crash", "exit", "", "TEST_CODE=3")
	a.service("blocked", "idle", "needs: [slow]\n")
	a.run().awaitState("slow", api.Starting)
	a.await("crash", "backs off", func(s *api.Service) bool { return s.State == api.Backoff && s.Restarts > 2 })
	require.Equal(t, []string{"slow"}, a.awaitState("blocked", api.Waiting).WaitingFor)
	_, err := a.client.Stop(a.context(), []string{"blocked", "slow", "crash"})
	require.NoError(t, err)
	for _, name := range []string{"slow", "crash", "blocked"} {
		s := a.find(name)
		require.Equal(t, api.Stopped, s.State, name)
		require.False(t, s.Wanted, name)
	}
	require.Empty(t, a.roles())
}

func TestE9TwoRestartsAtOnceLeaveOneProcess(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.service("idle", "slowstop", "ready: {log: slowstop begins}\n", "TEST_MS=100")
	a.run().awaitReady("idle")
	ended := make(chan error)
	for range 4 {
		go func() {
			_, err := a.client.Restart(a.context(), []string{"idle"})
			ended <- err
		}()
	}
	for range 4 {
		require.NoError(t, <-ended)
	}
	a.awaitReady("idle")
	require.Len(t, a.roles(), 1)
}

// TestE25FailedStartsLeaveNothing: a start that fails again and again leaves no descriptor behind.
func TestE25FailedStartsLeaveNothing(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	program := a.file("busy")
	content, err := os.ReadFile("/bin/sleep")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, content, 0o755))
	held, err := os.OpenFile(program, os.O_WRONLY, 0) // ETXTBSY for whoever executes it: a fault that passes
	require.NoError(t, err)
	defer held.Close()
	a.dropIn("busy", "busy: {command: ["+program+", \"1000\"], restart: {max: 100ms}}\n")
	a.run()
	descriptors := func() int {
		list, err := os.ReadDir("/proc/" + itoa(a.stage1(0)) + "/fd")
		require.NoError(t, err)
		return len(list)
	}
	a.await("busy", "was tried", func(s *api.Service) bool { return s.Run >= 5 })
	before := descriptors()
	a.await("busy", "was tried often", func(s *api.Service) bool { return s.Run >= 45 })
	require.Less(t, descriptors(), before+20)
	require.NoError(t, held.Close())
	a.awaitReady("busy")
}

func TestE26TooFewDescriptorsAreRefused(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.before = []string{"prlimit", "--nofile=48:48"}
	for n := range 20 {
		a.service("idle-"+itoa(n), "idle", "")
	}
	require.Equal(t, 2, a.run().code())
	require.Contains(t, a.out.String(), "20 services need 224 open files, and the limit is 48")
	require.Contains(t, a.out.String(), "ulimit -Hn 224")
	a.noOneIsLeft()
}

func TestE26PromisedDescriptorsAreEnough(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.before = []string{"prlimit", "--nofile=224:224"}
	for n := range 20 {
		a.service("web-"+itoa(n), "idle", "ready: {exec: [/bin/true], every: 50ms}\n")
	}
	a.run()
	for n := range 20 {
		a.awaitReady("web-" + itoa(n))
	}
	supervisor := a.stage1(0)
	a.kill(supervisor, syscall.SIGKILL)
	a.stage1(supervisor)
	require.NoError(t, a.doorAnswers())
	require.Equal(t, 0, a.term())
	require.NotContains(t, a.out.String(), "too many open files")
}

// TestE40CrashLoopComesBackByItself once its cause is mended.
func TestE40CrashLoopComesBackByItself(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.dropIn("crash", "crash: {command: [/bin/sh, -c, \"test -e "+a.file("mended")+" && exec sleep 1000; exit 7\"], restart: {max: 500ms}}\n")
	a.run()
	s := a.await("crash", "backs off", func(s *api.Service) bool { return s.State == api.Backoff && s.Restarts >= 3 })
	require.Equal(t, 7, s.LastExit.Code)
	require.NoError(t, os.WriteFile(a.file("mended"), nil, 0o644))
	a.awaitReady("crash")
}

func TestE41OutOfMemoryIsItsOwnCause(t *testing.T) {
	needRoot(t, "bound memory")
	t.Parallel()
	a := newAppliance(t)
	a.dropIn("hog", "hog: {command: [/bin/sh, -c, \"x=$(head -c 200M /dev/zero | tr '\\\\0' x); sleep 1000\"], budget: {memory: 32MiB}, restart: {max: 30s}}\n")
	a.run()
	s := a.await("hog", "has died", func(s *api.Service) bool { return s.LastExit != nil })
	require.Equal(t, api.CauseOOM, s.LastExit.Cause)
}

func TestE46FullDiskDoesNotStopTheServices(t *testing.T) {
	needRoot(t, "mount a small file system")
	t.Parallel()
	a := newAppliance(t)
	require.NoError(t, os.Mkdir(a.data, 0o755))
	command(t, "mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", a.data)
	t.Cleanup(func() {
		a.clean()
		_ = syscall.Unmount(a.data, syscall.MNT_DETACH)
	})
	a.service("writer", "lines", "", "TEST_US=1000")
	a.service("idle", "idle", "")
	a.run().awaitReady("writer", "idle")
	a.until("it is logged", func() bool { return a.logged("writer", "line 10") })
	ballast := filepath.Join(a.data, "ballast")
	full := exec.Command("dd", "if=/dev/zero", "of="+ballast, "bs=64k")
	require.Error(t, full.Run(), "the disk is full")
	before := a.find("writer")
	idle := a.find("idle")
	a.kill(idle.PID, syscall.SIGKILL) // its record has nowhere to go but to stage 0
	a.awaitNextRun("idle", idle.Run)
	supervisor := a.stage1(0)
	a.kill(supervisor, syscall.SIGKILL)
	a.stage1(supervisor)
	after := a.find("writer")
	require.Equal(t, before.PID, after.PID)
	require.Equal(t, a.awaitState("idle", api.Ready).Run, idle.Run+1)
	require.NoError(t, a.doorAnswers())
	require.NoError(t, os.Remove(ballast))
	mark := len(a.logs("writer"))
	a.until("logging goes on", func() bool { return len(a.logs("writer")) > mark+100 })
	require.Equal(t, 0, a.term())
}

func TestE58ReloadDuringARestart(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.service("idle", "slowstop", "ready: {log: slowstop begins}\n", "TEST_MS=300")
	a.service("other", "idle", "")
	a.run().awaitReady("idle", "other")
	other := a.find("other").PID
	restarted := make(chan error, 1)
	go func() {
		_, err := a.client.Restart(a.context(), []string{"idle"})
		restarted <- err
	}()
	a.awaitState("idle", api.Stopping)
	a.service("idle", "slowstop", "ready: {log: slowstop begins}\n", "TEST_MS=1")
	_, err := a.client.Reload(a.context())
	require.NoError(t, err)
	require.NoError(t, <-restarted)
	a.awaitReady("idle")
	a.until("it runs with what was reloaded", func() bool {
		roles := a.roles()
		if len(roles) != 2 {
			return false
		}
		s := a.find("idle")
		env, _ := os.ReadFile("/proc/" + itoa(s.PID) + "/environ")
		return strings.Contains(string(env), "TEST_MS=1\x00")
	})
	require.Equal(t, other, a.find("other").PID)
}

func TestE64ForkBombStaysInItsService(t *testing.T) {
	needRoot(t, "bound the number of processes")
	t.Parallel()
	a := newAppliance(t)
	a.service("bomb", "bomb", "budget: {pids: 60}\n")
	a.service("idle", "idle", "")
	a.run().awaitReady("bomb", "idle")
	if a.status().Appliance.Grade.Limits == "soft" {
		t.Skip("no cgroup of ours to bound it with")
	}
	a.until("its fork is refused", func() bool { return a.logged("bomb", "fork refused") })
	idle := a.find("idle")
	_, err := a.client.Restart(a.context(), []string{"idle"})
	require.NoError(t, err)
	require.Greater(t, a.find("idle").Run, idle.Run)
	_, err = a.client.Stop(a.context(), []string{"bomb"})
	require.NoError(t, err)
	require.Len(t, a.roles(), 1)
	require.Equal(t, 0, a.term())
	a.noOneIsLeft()
}

func TestE67CorruptRunRecordsAreNoObstacle(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.service("one", "escape", "")
	a.service("two", "idle", "")
	a.run().awaitReady("one", "two")
	two := a.find("two").PID
	old := a.find("one").PID
	a.until("the escapee runs", func() bool { return a.logged("one", "deaf begins") })
	records, err := filepath.Glob(filepath.Join(a.data, "run", "instances", "one*"))
	require.NoError(t, err)
	require.NotEmpty(t, records)
	supervisor := a.stage1(0)
	require.NoError(t, syscall.Kill(supervisor, syscall.SIGSTOP)) // it writes no other record
	for _, r := range records {
		require.NoError(t, os.WriteFile(r, []byte("{\"name\": tru"), 0o600))
	}
	a.kill(supervisor, syscall.SIGKILL)
	a.stage1(supervisor)
	a.await("one", "runs anew", func(s *api.Service) bool { return s.State == api.Ready && s.PID != old })
	a.until("nothing of the run without a record is left", func() bool { return len(a.roles()) == 3 })
	require.NotContains(t, a.roles(), old)
	require.Equal(t, two, a.find("two").PID)
	require.Equal(t, 3, a.term(), "the escapee is deaf")
	a.noOneIsLeft()
}

func TestE67CorruptStateAtStartIsSaidOrMended(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.service("idle", "idle", "")
	a.run().awaitReady("idle")
	require.Equal(t, 0, a.term())
	for _, dir := range []string{filepath.Join(a.data, "state", "store"), filepath.Join(a.data, "run", "instances")} {
		files, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, f := range files {
			if !f.IsDir() {
				require.NoError(t, os.WriteFile(filepath.Join(dir, f.Name()), []byte("\x00garbage"), 0o600))
			}
		}
	}
	a.run().awaitReady("idle")
	a.until("history is kept again", func() bool {
		for ev, err := range a.client.Events(a.context(), api.EventQuery{}) {
			if err == nil && ev.Service == "idle" && ev.To == api.Ready {
				return true
			}
		}
		return false
	})
	require.Equal(t, 0, a.term())
}

// TestNothingStartsDuringAShutdown: an order to run that comes while everything is being stopped is refused, and the stop is in time.
func TestNothingStartsDuringAShutdown(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.service("slow", "slowstop", "ready: {log: slowstop begins}\nstop: {grace: 20s}\n", "TEST_MS=3000")
	a.service("fast", "idle", "")
	a.run().awaitReady("slow", "fast")
	require.NoError(t, a.cmd.Process.Signal(syscall.SIGTERM))
	a.awaitState("fast", api.Stopped)
	_, err := a.client.Start(a.context(), []string{"fast"})
	require.ErrorContains(t, err, "stopping")
	_, err = a.client.Reload(a.context())
	require.ErrorContains(t, err, "stopping")
	require.Zero(t, a.code())
}

func TestStoppedServicesEndInReverseOrder(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("base", "slowstop", "ready: {log: slowstop begins}\n", "TEST_MS=50")
		a.service("middle", "slowstop", "ready: {log: slowstop begins}\nneeds: [base]\n", "TEST_MS=50")
		a.service("top", "slowstop", "ready: {log: slowstop begins}\nneeds: [middle]\n", "TEST_MS=50")
		a.run().awaitReady("base", "middle", "top")
		require.Equal(t, 0, a.term())
		a.noOneIsLeft()
		said := a.out.String()
		require.Less(t, strings.Index(said, "top is stopped"), strings.Index(said, "middle is stopped"))
		require.Less(t, strings.Index(said, "middle is stopped"), strings.Index(said, "base is stopped"))
		require.Less(t, strings.Index(said, "base is stopped"), strings.Index(said, "door is stopped"))
		a.run().awaitReady("top") // the history of the run before is still there
		var stopped, began []string
		for _, ev := range a.events("base", "middle", "top") {
			if ev.To == api.Stopped {
				stopped = append(stopped, ev.Service)
			}
			if ev.To == api.Ready {
				began = append(began, ev.Service)
			}
		}
		require.Equal(t, []string{"top", "middle", "base"}, stopped)
		require.Equal(t, []string{"base", "middle", "top"}, began[:3])
	})
}

func TestE52StopThatHadToKillEndsWith3(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("deaf", "deaf", "ready: {log: deaf begins}\nstop: {grace: 100ms}\n")
		a.service("crash", "exit", "", "TEST_CODE=1")
		a.run().awaitReady("deaf")
		require.Equal(t, 3, a.term())
		require.Contains(t, a.out.String(), "had to be killed")
		a.noOneIsLeft()
	})
}

// TestShortStopIsNotTakenForAWedgedSupervisor: stage 0 waits only a third of the budget for a beat, and the first comes with the stop.
func TestShortStopIsNotTakenForAWedgedSupervisor(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.args = []string{"--stop-timeout", "9s"}
	a.service("deaf", "deaf", "ready: {log: deaf begins}\nstop: {grace: 5s}\n")
	a.run().awaitReady("deaf")
	require.Equal(t, 3, a.term())
	require.NotContains(t, a.out.String(), "wedged")
}
