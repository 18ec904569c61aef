package supervisor_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/process"
)

// TestE54DeathOfStage1IsNoOutage: at random moments under load, no service is restarted or changes its state, no line is lost, the door answers
// throughout; and how a process that was taken over ended is known.
func TestE54DeathOfStage1IsNoOutage(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("writer", "lines", "", "TEST_US=50")
		a.service("chatter", "lines", "needs: [writer]\n", "TEST_US=1000")
		a.run().awaitReady("writer", "chatter")
		before := map[string]*api.Service{"writer": a.find("writer"), "chatter": a.find("chatter")}
		door := a.status().Appliance.DoorPID
		asking := a.askDoor()
		supervisor := a.stage1(0)
		for range 7 { // stage 0 takes ever more time: 100 ms, 200 ms … 3.2 s
			a.kill(supervisor, syscall.SIGKILL)
			supervisor = a.stage1(supervisor)
			for name, was := range before {
				s := a.find(name)
				require.Equal(t, []any{was.PID, was.Run, was.Since}, []any{s.PID, s.Run, s.Since}, "%s: adoption is an event, not a state", name)
			}
			time.Sleep(rand.N(50 * time.Millisecond)) // a moment that nobody chose
		}
		answers, err := asking()
		require.NoError(t, err)
		require.Positive(t, answers)
		require.Equal(t, door, a.status().Appliance.DoorPID)
		a.kill(before["chatter"].PID, syscall.SIGKILL)
		require.Equal(t, "KILL", a.awaitNextRun("chatter", 1).LastExit.Signal)
		require.Equal(t, 0, a.term())
		a.run()
		a.requireEveryLine("writer")
		a.requireEveryLine("chatter")
	})
}

// askDoor asks the front door all the time; the returned function ends that and tells how often it answered and what went wrong.
func (a *appliance) askDoor() (end func() (int, error)) {
	stop := make(chan struct{})
	done := make(chan error, 1)
	var answers atomic.Int64
	go func() {
		for {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			if err := a.doorAnswers(); err != nil {
				done <- err
				return
			}
			answers.Add(1)
			time.Sleep(time.Millisecond)
		}
	}()
	return func() (int, error) {
		close(stop)
		err := <-done
		return int(answers.Load()), err
	}
}

// requireEveryLine checks that the numbers of the first run go on without a gap; a block may be there twice.
func (a *appliance) requireEveryLine(name string) {
	a.t.Helper()
	a.until("the log can be read", func() bool { return a.status() != nil })
	next := 0
	for _, line := range a.logs(name) {
		number, ok := strings.CutPrefix(line.Text, "line ")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || line.Run != 1 {
			continue
		}
		require.LessOrEqual(a.t, n, next, "%s: a line is lost", name)
		if n == next {
			next++
		}
		if n == 0 && next > 1 {
			return // the next appliance's run 1
		}
	}
	require.Greater(a.t, next, 100, name)
}

func TestE54DeathOfStage0LeavesNothing(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("runaway", "escape", "ready: {log: begins}\n")
		a.service("deaf", "deaf", "ready: {log: deaf begins}\nstop: {grace: 200ms}\n")
		a.run().awaitReady("runaway", "deaf")
		a.until("the escapee runs", func() bool { return a.logged("runaway", "deaf begins") })
		require.NoError(t, a.cmd.Process.Kill())
		a.code()
		a.noOneIsLeft()
		a.run().awaitReady("runaway", "deaf")
		require.Equal(t, uint64(1), a.find("deaf").Run)
	})
}

// TestE54KillOfBothStages: with both dead nobody is left to stop the services; the next run kills them and starts afresh.
func TestE54KillOfBothStages(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("runaway", "escape", "")
		a.run().awaitReady("runaway")
		a.until("the escapee runs", func() bool { return a.logged("runaway", "deaf begins") })
		old := a.roles()
		supervisor := a.stage1(0)
		a.kill(a.cmd.Process.Pid, syscall.SIGSTOP) // it must not start another
		a.kill(supervisor, syscall.SIGKILL)
		a.kill(a.cmd.Process.Pid, syscall.SIGKILL)
		a.code()
		a.run().awaitReady("runaway")
		a.until("nothing of before is left", func() bool {
			for _, pid := range a.roles() {
				for _, was := range old {
					if pid == was {
						return false
					}
				}
			}
			return true
		}, func() any { return [2][]int{old, a.roles()} })
		require.NoError(t, a.doorAnswers())
	})
}

// TestStopTakesDependentsAlongAndStartBringsThemBack; a restart touches one. An operator's stop outlives the supervisor, not the run.
func TestStopTakesDependentsAlongAndStartBringsThemBack(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("base", "idle", "")
		a.service("top", "idle", "needs: [base]\n")
		a.run().awaitReady("base", "top")
		top := a.find("top")
		_, err := a.client.Restart(a.context(), []string{"base"})
		require.NoError(t, err)
		require.Equal(t, top.PID, a.find("top").PID)
		op, err := a.client.Stop(a.context(), []string{"base"})
		require.NoError(t, err)
		require.Equal(t, []string{"top", "base"}, op.Affected)
		supervisor := a.stage1(0)
		a.kill(supervisor, syscall.SIGKILL)
		a.stage1(supervisor)
		base := a.awaitState("base", api.Stopped)
		require.False(t, base.Wanted)
		require.Contains(t, base.StoppedBy, "uid")
		require.Equal(t, []string{"base"}, a.awaitState("top", api.Waiting).WaitingFor)
		_, err = a.client.Start(a.context(), []string{"base"})
		require.NoError(t, err)
		a.awaitReady("base", "top")
		_, err = a.client.Stop(a.context(), []string{"base"})
		require.NoError(t, err)
		require.Equal(t, 0, a.term())
		a.run().awaitReady("base", "top")
	})
}

// TestChaosOfOwnServices does random things to services, supervisor and door for a bounded time. Never are there two processes of one
// instance; what is wanted comes back; nothing is left. CHAOS_SEED replays the choices, CHAOS_SECONDS lengthens the run.
func TestChaosOfOwnServices(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("CHAOS_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	seconds := 20
	if s := os.Getenv("CHAOS_SECONDS"); s != "" {
		var err error
		seconds, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	t.Logf("CHAOS_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	a := newAppliance(t)
	names := []string{"base", "left", "right", "top", "lonely"}
	a.service("base", "idle", "ready: {log: begins}\n")
	a.service("left", "slowstop", "needs: [base]\n", "TEST_MS=20")
	a.service("right", "mother", "needs: [base]\n")
	a.service("top", "idle", "needs: [left, right]\n")
	a.service("lonely", "deaf", "stop: {grace: 50ms}\n")
	a.run().awaitReady(names...)
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); {
		what := a.somethingRandom(random, names[random.IntN(len(names))])
		for _, name := range names {
			require.LessOrEqual(t, len(a.mains(name)), 1, "after %s: two processes of %s", what, name)
		}
	}
	a.until("a supervisor starts them", func() bool {
		_, err := a.client.Start(a.context(), names)
		return err == nil
	})
	a.awaitReady(names...)
	for _, name := range names {
		require.Equal(t, []int{a.find(name).PID}, a.mains(name))
	}
	a.until("the door answers", func() bool { return a.doorAnswers() == nil })
	a.term()
	a.noOneIsLeft()
}

// somethingRandom does one thing and returns its name. Calls that a kill interrupts fail, and are meant to.
func (a *appliance) somethingRandom(random *rand.Rand, name string) string {
	dice := random.IntN(20)
	ctx := a.context()
	switch {
	case dice < 8:
		if s := a.find(name); s != nil && s.PID > 1 {
			_ = syscall.Kill(s.PID, syscall.SIGKILL) // it may have ended
		}
		return "kill " + name
	case dice < 11:
		_, _ = a.client.Restart(ctx, []string{name})
		return "restart " + name
	case dice < 14:
		_, _ = a.client.Stop(ctx, []string{name})
		return "stop " + name
	case dice < 18:
		_, _ = a.client.Start(ctx, []string{name})
		return "start " + name
	}
	st := a.status()
	if st == nil {
		return "nothing"
	}
	pid, what := st.Appliance.PID, "kill stage 1"
	if dice == 19 {
		pid, what = st.Appliance.DoorPID, "kill the door"
	}
	if pid > 1 {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
	return fmt.Sprint(what, " ", pid)
}

// mains are the processes of an instance that are not its helpers: those whose role in the environment is the one in its drop-in. A helper has its
// parent's environment until its exec; a main's parent is a supervisor.
func (a *appliance) mains(name string) (pids []int) {
	for _, pid := range a.roles() {
		env, _ := os.ReadFile("/proc/" + itoa(pid) + "/environ")
		if strings.Contains(string(env), "TEST_SERVICE="+name+"\x00") && !strings.Contains(string(env), "TEST_HELPER=1\x00") {
			pids = append(pids, pid)
		}
	}
	all := slices.Clone(pids)
	return slices.DeleteFunc(pids, func(pid int) bool {
		st, err := process.StatOf(pid)
		return err == nil && slices.Contains(all, st.PPID)
	})
}

// TestTwoAppliancesOfOneUserSpareEachOther: services of the same name and run, stopped and killed in one, live on in the other.
func TestTwoAppliancesOfOneUserSpareEachOther(t *testing.T) {
	t.Parallel()
	one, other := newAppliance(t).asUser(65534), newAppliance(t).asUser(65534)
	for _, a := range []*appliance{one, other} {
		a.service("runaway", "escape", "")
		a.run().awaitReady("runaway")
		a.until("the escapee runs", func() bool { return a.logged("runaway", "deaf begins") })
	}
	spared := other.roles()
	require.Len(t, spared, 2)
	_, err := one.client.Stop(one.context(), []string{"runaway"})
	require.NoError(t, err)
	require.Empty(t, one.roles())
	supervisor := one.stage1(0)
	one.kill(supervisor, syscall.SIGKILL)
	one.stage1(supervisor)
	one.term()
	one.run().awaitReady("runaway")
	require.ElementsMatch(t, spared, other.roles())
	require.Equal(t, uint64(1), other.find("runaway").Run)
}

// TestLastWordsCountThoughTheSupervisorWasAway: a run that no restart mends, as a migration that left its database dirty, is not begun again
// whenever it says so: to a supervisor that dies before the run does, or to none.
func TestLastWordsCountThoughTheSupervisorWasAway(t *testing.T) {
	for name, heard := range map[string]bool{"said to the one before": true, "said to nobody": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAppliance(t)
			a.service("migrates", "confess", "", "TEST_FILE="+a.file("say"), "TEST_END="+a.file("end"))
			a.run().awaitReady("migrates")
			a.editAccepted(func(insts []any) []any {
				insts[0].(map[string]any)["Restart"].(map[string]any)["Final"] = map[string]any{"Log": "dirty database", "Remedy": "repair it"}
				return insts
			})
			say := func() { require.NoError(t, os.WriteFile(a.file("say"), nil, 0o644)) }
			if heard {
				say()
				a.until("it was heard", func() bool { return a.logged("migrates", "dirty database") })
			}
			pid, old := a.find("migrates").PID, a.stage1(0)
			a.kill(a.cmd.Process.Pid, syscall.SIGSTOP) // no next supervisor for now
			a.kill(old, syscall.SIGKILL)
			if !heard {
				say()
			}
			require.NoError(t, os.WriteFile(a.file("end"), nil, 0o644))
			a.until("it has ended", func() bool {
				stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
				return err == nil && strings.Contains(string(stat), ") Z ")
			})
			a.kill(a.cmd.Process.Pid, syscall.SIGCONT)
			a.stage1(old)
			s := a.awaitState("migrates", api.Failed)
			require.EqualValues(t, 1, s.Run)
			require.Equal(t, 0, a.term())
		})
	}
}
