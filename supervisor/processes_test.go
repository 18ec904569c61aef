package supervisor_test

import (
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func TestE1SetsidEscapeesDieWithTheirService(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("runaway", "escape", "")
		a.run().awaitReady("runaway")
		a.until("the escapee runs", func() bool { return a.logged("runaway", "deaf begins") })
		op, err := a.client.Stop(a.context(), []string{"runaway"})
		require.NoError(t, err)
		require.Equal(t, []string{"runaway"}, op.Killed)
		a.until("the escapee is dead", func() bool { return len(a.roles()) == 0 })
		_, err = a.client.Start(a.context(), []string{"runaway"})
		require.NoError(t, err)
		a.awaitReady("runaway")
		a.term()
		a.noOneIsLeft()
	})
}

// roles are the living processes of services.
func (a *appliance) roles() (pids []int) {
	for _, pid := range a.family() {
		if exe, _ := os.Readlink("/proc/" + itoa(pid) + "/exe"); exe == a.programs.role {
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestReplicasShareTheirServicesUser, whom no other service has, and the death of one is none of the other's: a user alone proves nothing.
func TestReplicasShareTheirServicesUser(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("pair", "escape", "replicas: 2\n")
		a.service("other", "idle", "")
		a.run().awaitReady("pair", "other")
		for _, name := range []string{"pair/0", "pair/1"} {
			a.until(name+" has its escapee alone", func() bool {
				return len(a.rolesOf(name, "escape")) == 1 && len(a.rolesOf(name, "deaf")) == 1 && len(a.rolesOf(name, "middle")) == 0
			})
		}
		uid := func(pid int) uint32 {
			info, err := os.Stat("/proc/" + itoa(pid))
			require.NoError(t, err)
			return info.Sys().(*syscall.Stat_t).Uid
		}
		roles := []string{"escape", "middle", "deaf"}
		first, second := a.rolesOf("pair/0", roles...), a.rolesOf("pair/1", roles...)
		require.Equal(t, uid(first[0]), uid(second[0]))
		if os.Geteuid() == 0 && a.uid == 0 {
			require.NotEqual(t, uid(first[0]), uid(a.find("other").PID))
			require.NotZero(t, uid(first[0]))
		}
		_, err := a.client.Stop(a.context(), []string{"pair/0"})
		require.NoError(t, err)
		a.until("nothing of it is left", func() bool { return len(a.rolesOf("pair/0", roles...)) == 0 })
		require.Equal(t, second, a.rolesOf("pair/1", roles...))
	})
}

// rolesOf are the processes of an instance's first run in some roles.
func (a *appliance) rolesOf(name string, roles ...string) (pids []int) {
	for _, pid := range a.roles() {
		text, _ := os.ReadFile("/proc/" + itoa(pid) + "/environ")
		env := strings.Split(string(text), "\x00")
		ours := slices.ContainsFunc(env, func(entry string) bool {
			return strings.HasPrefix(entry, "APPLIANCE_RUN=") && strings.HasSuffix(entry, "/"+name+".1")
		})
		if ours && slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(env, "TEST_ROLE="+role) }) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestE5DeafServiceIsKilledAfterItsGrace(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("deaf", "deaf", "ready: {log: deaf begins}\nstop: {grace: 200ms}\n")
		a.run().awaitReady("deaf")
		op, err := a.client.Stop(a.context(), []string{"deaf"})
		require.NoError(t, err)
		require.Equal(t, []string{"deaf"}, op.Killed)
		s := a.awaitState("deaf", api.Stopped)
		require.Equal(t, "KILL", s.LastExit.Signal)
		require.Equal(t, api.CauseStopped, s.LastExit.Cause)
		require.Contains(t, s.StoppedBy, "uid")
		require.Empty(t, a.roles())
		require.True(t, slices.ContainsFunc(a.events("deaf"), func(ev api.Event) bool { return ev.Message == "still there after its grace period: killed" }))
	})
}

func TestE6StoppedProcessIsFoundByLivenessAndRestarted(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	address := freeAddress(t)
	a.service("web", "http", "ports: {http: "+portOf(address)+"}\nready: {http: /, port: http, every: 50ms}\nlive: {http: /, port: http, every: 50ms, timeout: 300ms, failures: 3}\n", "TEST_ADDR="+address)
	a.run().awaitReady("web")
	s := a.find("web")
	a.kill(s.PID, syscall.SIGSTOP)
	again := a.awaitNextRun("web", s.Run)
	require.Equal(t, api.CauseLiveness, again.LastExit.Cause)
	require.NotEqual(t, s.PID, again.PID)
}

func TestE6StopReachesAStoppedProcess(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.service("idle", "idle", "ready: {log: begins}\n")
	a.run().awaitReady("idle")
	a.kill(a.find("idle").PID, syscall.SIGSTOP)
	op, err := a.client.Stop(a.context(), []string{"idle"})
	require.NoError(t, err)
	require.Empty(t, op.Killed)
	require.Equal(t, "", a.awaitState("idle", api.Stopped).LastExit.Signal)
}

func TestE20HelpersDieBeforeTheNextRun(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("mother", "mother", "ready: {log: deaf begins}\n")
		a.run().awaitReady("mother")
		s := a.find("mother")
		helpers := a.roles()
		require.Len(t, helpers, 2)
		a.kill(s.PID, syscall.SIGKILL)
		a.awaitNextRun("mother", s.Run)
		for _, pid := range a.roles() {
			require.NotContains(t, helpers, pid, "a helper of the run before lives beside the next")
		}
	})
}

func TestE21DaemonIsNotStartedTwice(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("daemon", "daemon", "")
		a.run()
		s := a.await("daemon", "backs off", func(s *api.Service) bool { return s.Restarts >= 1 && s.State == api.Backoff })
		require.Equal(t, api.CauseExit, s.LastExit.Cause)
		require.Equal(t, 0, s.LastExit.Code)
		require.LessOrEqual(t, len(a.roles()), 2, "copies of the daemon pile up")
	})
}

func TestE44ExitIsNoticedThoughAHelperHoldsThePipe(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.service("mother", "mother", "ready: {log: deaf begins}\n")
	a.run().awaitReady("mother")
	s := a.find("mother")
	a.kill(s.PID, syscall.SIGKILL)
	again := a.awaitNextRun("mother", s.Run)
	require.Equal(t, "KILL", again.LastExit.Signal)
	require.Equal(t, api.CauseSignal, again.LastExit.Cause)
}

func TestE47AndE48OddOutputIsKept(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.service("odd", "odd", "")
	a.run().awaitReady("odd")
	a.until("the last whole line is kept", func() bool { return a.logged("odd", "forged") })
	_, err := a.client.Stop(a.context(), []string{"odd"})
	require.NoError(t, err)
	a.until("the partial line is kept at the end", func() bool { return a.logged("odd", "no end") })
	long, cut := 0, 0
	for _, line := range a.logs("odd") {
		require.LessOrEqual(t, len(line.Text), 64<<10)
		if strings.HasPrefix(line.Text, "xxx") {
			long += len(line.Text)
		}
		if line.Cut {
			cut++
		}
	}
	require.Equal(t, 10<<20, long, "every byte of the long line is there")
	require.Greater(t, cut, 100)
	require.True(t, a.logged("odd", "after the long one"))
}

// TestProbesOfEveryKind: a log line, a notification, a command and a port each make a service ready, and not before.
func TestProbesOfEveryKind(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	address := freeAddress(t)
	a.service("logs", "idle", "ready: {log: never said}\n")
	a.service("notifies", "notify", "ready: {notify: true}\n", "TEST_FILE="+a.file("go"))
	a.service("probed", "idle", "ready: {exec: [/bin/sh, -c, \"test -e "+a.file("go")+"\"], every: 50ms}\n")
	a.service("listens", "latehttp", "ready: {tcp: true, port: main, every: 50ms}\nports: {main: "+portOf(address)+"}\n", "TEST_ADDR="+address, "TEST_FILE="+a.file("go"))
	a.run()
	for _, name := range []string{"logs", "notifies", "probed", "listens"} {
		a.await(name, "has begun and is not ready", func(s *api.Service) bool { return s.PID != 0 && s.State == api.Starting })
	}
	require.NoError(t, os.WriteFile(a.file("go"), nil, 0o644))
	a.awaitReady("notifies", "probed", "listens")
	require.Equal(t, api.Starting, a.find("logs").State)
}
