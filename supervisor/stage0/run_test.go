package stage0

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestOrderedStopPassesTheCodeOn(t *testing.T) {
	tr := startTree(t)
	p := tr.life()
	hello := p.message(Hello)
	require.EqualValues(t, 1, hello.Run)
	require.Equal(t, tr.cmd.Process.Pid, hello.PID)
	require.Equal(t, Version, hello.Version)
	require.Equal(t, 1, hello.Gives) // the lock
	require.False(t, hello.Stop)
	require.Equal(t, lockName, p.message(Give).Name)
	p.send(Message{Type: Ready})
	tr.logHas("is ready")
	tr.signal(syscall.SIGTERM)
	left := p.message(Stop).Deadline.Left()
	require.Greater(t, left, time.Duration(0))
	require.Less(t, left, tr.setup.StopTimeout)
	tr.signal(syscall.SIGTERM) // changes nothing
	tr.logHas("stopping already")
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func TestDoneWithoutAnOrderEndsToo(t *testing.T) {
	tr := startTree(t)
	tr.life().done(3)
	require.Equal(t, 3, tr.code())
}

func TestRestartKeepsDescriptorsAndExits(t *testing.T) { // E54
	tr := startTree(t)
	p := tr.life()
	p.do(command{Do: "store", Name: "logs/gitserver/0"})
	p.do(command{Do: "store", Name: "dropped"})
	p.send(Message{Type: Drop, Name: "dropped"})
	living := p.spawn(7, "/bin/sh", "-c", "exec sleep 60")
	p.send(Message{Type: Ready})
	tr.logHas("is ready")
	kill(t, p.pid, syscall.SIGKILL)

	p = tr.life()
	hello := p.message(Hello)
	require.EqualValues(t, 2, hello.Run)
	require.Equal(t, 2, hello.Gives)
	require.Zero(t, hello.Exits)
	require.Contains(t, hello.Text, "SIGKILL")
	give := p.next(func(e event) bool { return e.Message.Type == Give && e.Message.Name != lockName })
	require.Equal(t, "logs/gitserver/0", give.Message.Name)
	require.Equal(t, "kept logs/gitserver/0", give.Content)

	kill(t, living.PID, syscall.SIGTERM) // now a child of stage 0
	exit := p.message(Exit)
	require.Equal(t, living.PID, exit.PID)
	require.EqualValues(t, 7, exit.Run)
	require.Equal(t, syscall.SIGTERM, syscall.WaitStatus(exit.Status).Signal())

	kill(t, p.pid, syscall.SIGKILL) // not acknowledged: the next one hears it too
	p = tr.life()
	require.Equal(t, 1, p.message(Hello).Exits)
	require.Equal(t, living.Start, p.message(Exit).StartTime)
	p.send(Message{Type: Ack, Name: "svc", Run: 7})
	p.do(command{Do: "exit", Code: 2}) // an exit status alone is a short life

	p = tr.life()
	require.Zero(t, p.message(Hello).Exits)
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func TestManyDescriptorsComeBack(t *testing.T) { // more than the socket holds at once
	const count = 600
	tr := startTree(t)
	p := tr.life()
	for i := range count {
		p.do(command{Do: "store", Name: "logs/" + itoa(i)})
	}
	p.send(Message{Type: Ready})
	tr.logHas("is ready")
	kill(t, p.pid, syscall.SIGKILL)
	p = tr.life()
	require.Equal(t, count+1, p.message(Hello).Gives)
	require.Equal(t, lockName, p.message(Give).Name)
	seen := map[string]bool{}
	for range count {
		e := p.next(func(e event) bool { return e.Message.Type == Give })
		require.Equal(t, "kept "+e.Message.Name, e.Content)
		seen[e.Message.Name] = true
	}
	require.Len(t, seen, count)
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func TestExitWhileStage1IsAway(t *testing.T) {
	tr := startTree(t, func(s *setup, _ *exec.Cmd) { s.Timings.BackoffMin = time.Second })
	p := tr.life()
	child := p.spawn(1, "/bin/sh", "-c", "exec sleep 60")
	p.do(command{Do: "exit", Code: 1})
	tr.logHas("without DONE")
	kill(t, child.PID, syscall.SIGKILL)
	p = tr.life()
	exit := p.message(Exit)
	require.Equal(t, syscall.SIGKILL, syscall.WaitStatus(exit.Status).Signal())
	p.send(Message{Type: Ack, Name: "svc", Run: 1})
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func TestDeathTogetherWithStage1IsReported(t *testing.T) { // what stage 1 sent last is read before its children are judged
	tr := startTree(t)
	p := tr.life()
	child := p.spawn(1, "/bin/sh", "-c", "exit 9")
	gone(t, child.PID, child.Start)
	kill(t, p.pid, syscall.SIGKILL)
	p = tr.life()
	require.Equal(t, 9, syscall.WaitStatus(p.message(Exit).Status).ExitStatus())
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func TestRefuseEndsOnlyTheFirstLife(t *testing.T) {
	for _, code := range []int{2, 6} {
		tr := startTree(t)
		p := tr.life()
		p.send(Message{Type: Refuse, Code: code, Text: "bad configuration"})
		p.do(command{Do: "exit", Code: 1})
		require.Equal(t, code, tr.code())
	}
	tr := startTree(t)
	p := tr.life()
	p.send(Message{Type: Refuse, Code: 5})
	tr.logHas("refuses with code 5")
	p.do(command{Do: "exit", Code: 2})
	p = tr.life()
	p.send(Message{Type: Refuse, Code: 2, Text: "worse"})
	tr.logHas("worse")
	p.do(command{Do: "exit", Code: 2})
	tr.life().done(0)
	require.Equal(t, 0, tr.code())
}

func TestE57WedgedStage1IsDumpedKilledReplaced(t *testing.T) {
	tr := startTree(t, func(s *setup, _ *exec.Cmd) {
		s.Timings.BeatTimeout, s.Timings.DumpWait = 2*time.Second, 300*time.Millisecond
	})
	p := tr.life()
	p.do(command{Do: "hang"})
	q := tr.life()
	require.Contains(t, tr.log(), "goroutine ")
	require.Contains(t, q.message(Hello).Text, "wedged")
	kill(t, q.pid, syscall.SIGSTOP) // this one cannot even dump
	r := tr.life()
	require.Contains(t, tr.log(), "killing it")
	r.done(0)
	require.Equal(t, 0, tr.code())
}

func TestStopWithStage1Dead(t *testing.T) {
	tr := startTree(t, func(s *setup, _ *exec.Cmd) { s.Timings.BackoffMin, s.Timings.BackoffMax = patience*2, patience*2 })
	p := tr.life()
	p.do(command{Do: "exit", Code: 1})
	tr.logHas("without DONE")
	tr.signal(syscall.SIGTERM) // does not wait for the back-off
	p = tr.life()
	hello := p.message(Hello)
	require.True(t, hello.Stop)
	require.Greater(t, hello.Deadline.Left(), time.Duration(0))
	p.done(0)
	require.Equal(t, 0, tr.code())
}

// TestStopEndsOnceNothingIsLeft: a supervisor that cannot start has nothing to stop, and its budget is not waited out.
func TestStopEndsOnceNothingIsLeft(t *testing.T) {
	for program, said := range map[string]string{"/bin/false": "the next supervisor starts in", "/not/there": "trying again in"} {
		t.Run(program, func(t *testing.T) {
			tr := startTree(t, func(s *setup, _ *exec.Cmd) { s.Fallback, s.StopTimeout = program, 10*patience })
			tr.logHas(said)
			tr.signal(syscall.SIGTERM)
			require.Equal(t, exitInternal, tr.code())
			require.Contains(t, tr.log(), "nothing is left to stop")
		})
	}
}

// TestStopWaitsForWhatIsLeft: as long as something lives, a supervisor that could stop it in order is tried again.
func TestStopWaitsForWhatIsLeft(t *testing.T) {
	tr := startTree(t, func(s *setup, _ *exec.Cmd) { s.StopTimeout = 10 * patience })
	p := tr.life()
	left := p.spawn(1, "/bin/sh", "-c", "exec sleep 60")
	tr.signal(syscall.SIGTERM)
	p.message(Stop)
	p.do(command{Do: "exit", Code: 1})
	p = tr.life()
	p.message(Hello)
	kill(t, left.PID, syscall.SIGTERM)
	gone(t, left.PID, left.Start)
	p.do(command{Do: "exit", Code: 1})
	require.Equal(t, exitInternal, tr.code())
}

func TestStopWithStage1Wedged(t *testing.T) {
	tr := startTree(t, func(s *setup, _ *exec.Cmd) { s.StopTimeout = 15 * time.Second })
	p := tr.life()
	kill(t, p.pid, syscall.SIGSTOP)
	tr.signal(syscall.SIGINT)
	p = tr.life()
	require.True(t, p.message(Hello).Stop)
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func TestStopDeadlineKillsEverything(t *testing.T) {
	tr := startTree(t, func(s *setup, _ *exec.Cmd) { s.StopTimeout = time.Second })
	p := tr.life()
	known := p.spawn(1, "/bin/sh", "-c", `trap "" TERM; while :; do sleep 1; done`)
	escaped := p.spawn(0, "/bin/sh", "-c", "setsid sleep 77 & sleep 78")
	p.send(Message{Type: Ready})
	tr.logHas("is ready")
	tr.signal(syscall.SIGTERM)
	require.Equal(t, 3, tr.code())
	gone(t, p.pid, 0)
	gone(t, known.PID, known.Start)
	gone(t, escaped.PID, escaped.Start)
	require.Contains(t, tr.log(), "had to kill: ")
	require.Contains(t, tr.log(), "svc (sh, pid ")
	require.Contains(t, tr.log(), "sleep (pid ")
}

func TestLeftoversAfterDoneMakeIt3(t *testing.T) {
	tr := startTree(t)
	p := tr.life()
	left := p.spawn(0, "/bin/sh", "-c", "exec sleep 60")
	p.done(0)
	require.Equal(t, 3, tr.code())
	gone(t, left.PID, left.Start)
}

func TestE68SecondRunIsRefused(t *testing.T) {
	tr := startTree(t)
	p := tr.life()
	second := startTree(t, func(s *setup, _ *exec.Cmd) { s.DataDir = tr.setup.DataDir })
	require.Equal(t, 6, second.code())
	require.Contains(t, second.log(), "held by pid "+itoa(tr.cmd.Process.Pid))
	require.Contains(t, second.log(), "sourcegraph shutdown --data "+tr.setup.DataDir)

	record, err := ReadLock(tr.setup.DataDir)
	require.NoError(t, err)
	require.True(t, record.Held)
	require.Equal(t, tr.cmd.Process.Pid, record.Stage0PID)
	require.Equal(t, p.pid, record.Stage1PID)
	p.done(0)
	require.Equal(t, 0, tr.code())
	record, err = ReadLock(tr.setup.DataDir)
	require.NoError(t, err)
	require.False(t, record.Held)
}

func TestE54DeathOfStage0IsSeenByStage1WhichKeepsTheLock(t *testing.T) {
	tr := startTree(t)
	p := tr.life()
	p.message(Give) // it has the lock
	kill(t, p.pid, syscall.SIGSTOP)
	tr.signal(syscall.SIGKILL)
	tr.code()
	second := startTree(t, func(s *setup, _ *exec.Cmd) { s.DataDir = tr.setup.DataDir })
	require.Equal(t, 6, second.code())
	require.Contains(t, second.log(), "held by supervisor pid "+itoa(p.pid))
	kill(t, p.pid, syscall.SIGCONT)
	p.next(func(e event) bool { return e.Kind == "eof" })
	require.Eventually(t, func() bool {
		record, err := ReadLock(tr.setup.DataDir)
		return err == nil && !record.Held
	}, patience, 10*time.Millisecond)
}

func TestUnusableDataDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	tr := startTree(t, func(s *setup, _ *exec.Cmd) { s.DataDir = file })
	require.Equal(t, 2, tr.code())
	require.Contains(t, tr.log(), file)
	require.Contains(t, tr.log(), "--data")
}

func TestFallbackAfterThreeShortLives(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad")
	require.NoError(t, os.WriteFile(bad, []byte("#!/bin/sh\nexit 1\n"), 0o755))
	tr := startTree(t, func(s *setup, _ *exec.Cmd) { s.Active, s.Timings.BackoffMin = bad, time.Millisecond })
	p := tr.life()
	require.EqualValues(t, 4, p.message(Hello).Run)
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func TestProgramThatCannotBeExecutedFallsBackAtOnce(t *testing.T) {
	tr := startTree(t, func(s *setup, _ *exec.Cmd) { s.Active = "/nonexistent/sourcegraph" })
	p := tr.life()
	hello := p.message(Hello)
	require.EqualValues(t, 1, hello.Run)
	require.Contains(t, hello.Text, "/nonexistent/sourcegraph")
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func TestAnyBytesAreSurvived(t *testing.T) {
	tr := startTree(t)
	p := tr.life()
	for _, raw := range [][]byte{{1}, {0xff, 0xff, 0xff}, []byte(strings.Repeat("x", 500)), make([]byte, maxPacket+1)} {
		p.do(command{Do: "raw", Raw: raw})
	}
	p.send(Message{Type: Type(200)})
	p.send(Message{Type: Ready})
	tr.logHas("is ready")
	require.Contains(t, tr.log(), "passed over")
	p.done(0)
	require.Equal(t, 0, tr.code())
}

func TestStoreIsBounded(t *testing.T) {
	s := newStore()
	defer s.close()
	s.limit = 2
	open := func() int {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		return fd
	}
	require.Error(t, s.put(lockName, []int{open()}))
	require.Error(t, s.put("nothing", nil))
	require.NoError(t, s.put("a", []int{open(), open()}))
	refused := open()
	require.Error(t, s.put("b", []int{refused}))
	require.ErrorIs(t, unix.Close(refused), unix.EBADF)
	require.NoError(t, s.put("a", []int{open()})) // instead of the two
	require.Equal(t, 1, s.count)
	require.Equal(t, []string{"a"}, s.names())
}

func TestInheritOutsideOfRun(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STAGE0_ROLE=supervise")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit))
	require.Equal(t, 96, exit.ExitCode())
	require.Contains(t, string(out), "descriptor 3")
}
