package process

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestExitIsSeenBeforeAndKeptUntilReap(t *testing.T) {
	s := newSpawner(t)
	c := start(t, s, role("exit 7"))
	exit := c.wait(t)
	require.True(t, exit.Known)
	require.Equal(t, 7, exit.Code)
	require.Equal(t, 7<<8, exit.Status)
	require.Equal(t, "exit 7", exit.String())
	require.Positive(t, exit.MaxRSS)

	line, err := os.ReadFile(procFile(c.PID(), "stat"))
	require.NoError(t, err, "its number is taken until Reap")
	stat, err := parseStat(line)
	require.NoError(t, err)
	require.Equal(t, byte('Z'), stat.state)

	require.NoError(t, c.Reap())
	require.NoDirExists(t, "/proc/"+strconv.Itoa(c.PID()))
	require.NoError(t, c.Reap(), "twice does no harm")
	again, err := c.Wait()
	require.NoError(t, err)
	require.Equal(t, exit, again)
}

func TestExitBySignal(t *testing.T) {
	s := newSpawner(t)
	c := start(t, s, role("sleep"))
	require.Equal(t, "sleeping", c.line(t))
	require.ErrorContains(t, c.Reap(), "has not ended")
	require.NoError(t, c.Signal(syscall.SIGTERM))
	exit := c.wait(t)
	require.Equal(t, syscall.SIGTERM, exit.Signal)
	require.Equal(t, "TERM", exit.SignalName())
	require.Equal(t, ExitOf(exit.Status), Exit{Known: true, Signal: exit.Signal, Status: exit.Status})
}

// E5, E6: a service that ignores TERM and is stopped still dies by KILL; CONT alone does not end it.
func TestE5ServiceIgnoresTERM(t *testing.T) {
	s := newSpawner(t)
	c := start(t, s, role("deaf"))
	require.Equal(t, "deaf", c.line(t))
	require.NoError(t, c.Signal(syscall.SIGTERM))
	require.NoError(t, c.Signal(0), "it lives on")
	require.NoError(t, c.Signal(syscall.SIGKILL))
	require.Equal(t, syscall.SIGKILL, c.wait(t).Signal)
}

func TestE6StoppedProcess(t *testing.T) {
	s := newSpawner(t)
	stopped := func() child {
		c := start(t, s, role("sleep"))
		c.line(t)
		require.NoError(t, c.Signal(syscall.SIGSTOP))
		require.Eventually(t, func() bool {
			st, err := StatOf(c.PID())
			return err == nil && st.State == 'T'
		}, patience, tick)
		return c
	}
	c := stopped()
	require.NoError(t, c.Signal(syscall.SIGTERM))
	require.NoError(t, c.Signal(syscall.SIGCONT))
	require.Equal(t, syscall.SIGTERM, c.wait(t).Signal, "TERM waits for CONT")
	c = stopped()
	require.NoError(t, c.Signal(syscall.SIGKILL))
	require.Equal(t, syscall.SIGKILL, c.wait(t).Signal, "KILL does not")
}

// E11: a handle of an ended process signals nobody, whoever has its number now.
func TestE11PIDReuse(t *testing.T) {
	s := newSpawner(t)
	c := start(t, s, role("exit 0"))
	c.wait(t)
	require.NoError(t, c.Reap())
	require.ErrorIs(t, c.Signal(syscall.SIGKILL), os.ErrProcessDone)
	require.ErrorIs(t, c.SignalGroup(syscall.SIGKILL), os.ErrProcessDone)

	other := start(t, s, role("sleep"))
	other.line(t)
	_, err := Adopt(other.PID(), other.StartTime()+1)
	require.ErrorIs(t, err, os.ErrProcessDone, "same number, another start time")
	require.NoError(t, other.Signal(0))
}

// E12: the group exists when Start returns and is its own; ours, init's and everybody's are refused.
func TestE12ProcessGroup(t *testing.T) {
	s := newSpawner(t)
	c := start(t, s, role("sleep"))
	pgid, err := unix.Getpgid(c.PID())
	require.NoError(t, err)
	require.Equal(t, c.PID(), pgid)
	require.NoError(t, c.SignalGroup(syscall.SIGKILL))
	require.Equal(t, syscall.SIGKILL, c.wait(t).Signal)

	own := unix.Getpgrp()
	for _, bad := range []int{-1, 0, 1, own} {
		require.Error(t, refuseGroup(bad, own), bad)
	}
	require.NoError(t, refuseGroup(own+1, own))
}

func TestE12GroupBeforeLinux69(t *testing.T) {
	s := newSpawner(t)
	c := start(t, s, role("sleep"))
	c.line(t)
	require.NoError(t, c.send(syscall.SIGKILL, func(fd int) error { return c.killGroup(fd, syscall.SIGKILL) }))
	require.Equal(t, syscall.SIGKILL, c.wait(t).Signal)

	us, err := Adopt(os.Getpid(), must(StartTime(os.Getpid())))
	require.NoError(t, err)
	defer us.Forget()
	require.Error(t, us.send(syscall.SIGKILL, func(fd int) error { return us.killGroup(fd, syscall.SIGKILL) }), "our own group")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// E13: a child that kills its whole group does not reach us.
func TestE13ChildKillsItsGroup(t *testing.T) {
	s := newSpawner(t)
	require.Equal(t, syscall.SIGKILL, start(t, s, role("killgroup")).wait(t).Signal)
}

// signalSet reads a set of /proc/PID/status, without 32 and 33: the C library keeps those to itself, and what started the tests may have ignored one.
func signalSet(t *testing.T, hex string) uint64 {
	set, err := strconv.ParseUint(hex, 16, 64)
	require.NoError(t, err)
	return set &^ (1<<31 | 1<<32)
}

// E14: nothing of our own state is inherited: signals, mask, umask, descriptors, environment, controlling session.
func TestE14InheritedState(t *testing.T) {
	if !isInner("TestE14InheritedState") {
		inner(t, "ignore", NoChange, "TestE14InheritedState")
		return
	}
	status := must(os.ReadFile("/proc/self/status"))
	require.Contains(t, string(status), "SigIgn:\t")
	_, ignored, _ := strings.Cut(string(status), "SigIgn:\t")
	require.EqualValues(t, 0x1201, signalSet(t, ignored[:16]), "the setup ignores HUP, USR1 and PIPE")
	unix.Umask(0o077)
	leak := must(os.Open("/dev/zero"))
	defer leak.Close()

	s := newSpawner(t)
	// sh: a Go child would install handlers of its own before it could look
	c := start(t, s, Spec{Program: "/bin/sh", Argv: []string{"sh", "-c", "umask; exec cat /proc/self/status"}, Env: []string{"A=b"}, Dir: "/", UID: NoChange, CgroupFD: -1})
	require.Equal(t, "0022", c.line(t))
	seen := map[string]string{}
	for {
		line, err := c.out.ReadString('\n')
		if err != nil {
			break
		}
		k, v, _ := strings.Cut(line, ":")
		seen[k] = strings.TrimSpace(v)
	}
	for _, set := range []string{"SigIgn", "SigBlk", "SigCgt"} {
		require.Zero(t, signalSet(t, seen[set]), set)
	}
	require.Equal(t, "1", seen["NoNewPrivs"])

	d := describe(t, s, role("describe"))
	require.Equal(t, d.PID, d.SID)
	require.Equal(t, d.PID, d.PGID)
	require.Equal(t, DefaultUmask, d.Umask)
	require.Equal(t, role("describe").Env, d.Env)
	require.Contains(t, d.FDs, "0 /dev/null")
	for _, fd := range d.FDs {
		require.NotContains(t, fd, "/dev/zero")
	}
	require.Equal(t, 0o077, unix.Umask(0o077), "our own umask is untouched")
}

func TestE14OwnUmaskNiceAndOOMScore(t *testing.T) {
	s := newSpawner(t)
	spec := role("describe")
	spec.Umask, spec.Nice, spec.OOMScoreAdj, spec.Dir = 0o027, 7, 500, "/tmp"
	d := describe(t, s, spec)
	require.Equal(t, 0o027, d.Umask)
	require.Equal(t, 7, d.Nice)
	require.Equal(t, "500", d.OOMScoreAdj)
	require.Equal(t, "/tmp", d.Dir)
	d = describe(t, s, role("describe"))
	require.Equal(t, DefaultUmask, d.Umask)
	require.Equal(t, 0, d.Nice, "the next one is not affected")
	require.Equal(t, "0", d.OOMScoreAdj)
}

func TestDescriptorLimitIsInForceAtTheFirstInstruction(t *testing.T) {
	s := newSpawner(t)
	var before, after unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	limit := func(soft uint64) string {
		c := start(t, s, Spec{Program: "/bin/sh", Argv: []string{"sh", "-c", "ulimit -S -n"}, Dir: "/", UID: NoChange, CgroupFD: -1, NoFile: soft})
		defer c.wait(t)
		return c.line(t)
	}
	unasked := limit(0)
	require.Equal(t, "777", limit(777))
	require.Equal(t, unasked, limit(0), "the next one has what the appliance was started with")
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &after))
	require.Equal(t, before, after, "ours is back")
}

// E16: many children, each with its waiter: no status is lost, and no thread is spent on a wait.
func TestE16EveryExitReachesItsWaiter(t *testing.T) {
	s := newSpawner(t)
	var wg sync.WaitGroup
	codes := make([]int, 100)
	for i := range codes {
		wg.Go(func() {
			p, err := s.Start(role("exit " + strconv.Itoa(i)))
			if err != nil {
				codes[i] = -1
				return
			}
			exit, err := p.Wait()
			if codes[i] = exit.Code; err != nil || p.Reap() != nil {
				codes[i] = -2
			}
		})
	}
	wg.Wait()
	for i, code := range codes {
		require.Equal(t, i, code)
	}
}

func TestE16WaitingCostsNoThread(t *testing.T) {
	s := newSpawner(t)
	var wg sync.WaitGroup
	children := make([]child, 60)
	for i := range children {
		children[i] = start(t, s, Spec{Program: "/bin/sleep", Argv: []string{"sleep", "30"}, Dir: "/", UID: NoChange, CgroupFD: -1})
	}
	before := threads(t)
	for _, c := range children {
		wg.Go(func() { _, _ = c.Wait() })
	}
	st, err := StatOf(children[0].PID())
	require.NoError(t, err)
	require.NotEqual(t, byte('Z'), st.State)
	require.Less(t, threads(t), before+20)
	for _, c := range children {
		require.NoError(t, c.Signal(syscall.SIGKILL))
	}
	wg.Wait()
}

func threads(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	require.NoError(t, err)
	return len(entries)
}

func TestAdopt(t *testing.T) {
	s := newSpawner(t)
	c := start(t, s, role("escape")) // a grandchild whose parent has gone: not our child
	pid := must(strconv.Atoi(strings.TrimPrefix(c.line(t), "escaped ")))
	c.wait(t)
	p, err := Adopt(pid, must(StartTime(pid)))
	require.NoError(t, err)
	require.True(t, p.Adopted())
	require.NoError(t, p.Signal(syscall.SIGKILL))
	exit, err := p.Wait()
	require.NoError(t, err)
	require.Equal(t, Exit{}, exit, "only its parent knows the status")
	require.NoError(t, p.Reap())
}
