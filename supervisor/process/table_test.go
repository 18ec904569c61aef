package process

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func scan(t *testing.T) *Table {
	t.Helper()
	table, err := Scan()
	require.NoError(t, err)
	return table
}

func pids(procs []Proc) []int {
	var all []int
	for _, p := range procs {
		all = append(all, p.PID)
	}
	return all
}

func newMarks(t *testing.T) *Marks {
	t.Helper()
	m, err := NewMarks("test "+t.Name()+strconv.Itoa(os.Getpid()), nil)
	require.NoError(t, err)
	return m
}

// E1 without a cgroup: a double-forked setsid daemon is found and killed by the mark of its run.
func TestE1EscapeeIsFoundByItsMark(t *testing.T) {
	needRoot(t)
	s, marks := newSpawner(t), newMarks(t)
	mark := must(marks.Next())
	c := start(t, s, asUser(role("escape"), 12345, mark))
	pid := must(strconv.Atoi(strings.TrimPrefix(c.line(t), "escaped ")))
	c.wait(t)
	require.NoError(t, c.Reap())

	require.Equal(t, []int{pid}, pids(must(FindMarked(mark))))
	require.Contains(t, pids(scan(t).Strays(Known{}, marks)), pid)
	require.NotContains(t, pids(scan(t).Strays(Known{Marks: []int{mark}}, marks)), pid, "a record explains it")

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, new(Scanner).Kill(ctx, func(table *Table) []Proc { return table.Marked(mark) }))
	require.Empty(t, living(must(FindMarked(mark))))
	require.Empty(t, scan(t).Strays(Known{}, marks))
}

// The one-user mode: the environment and the descent take the place of the mark.
func TestE2OneUserModeFindsByEnvironmentAndDescent(t *testing.T) {
	s := newSpawner(t)
	c := start(t, s, role("sleep", EnvVariable+"=test.1"))
	c.line(t)
	require.Equal(t, []int{c.PID()}, pids(scan(t).EnvMarked("test.1")))
	require.Empty(t, scan(t).EnvMarked("test."))
	require.Contains(t, pids(scan(t).Descendants(os.Getpid())), c.PID())
	known := Known{Stage0: os.Getppid(), Stage1: os.Getpid()}
	require.Contains(t, pids(scan(t).Strays(known, nil)), c.PID())
	known.Processes = map[int]uint64{c.PID(): c.StartTime() + 1}
	require.Contains(t, pids(scan(t).Strays(known, nil)), c.PID(), "another process of that number is recorded")
	known.Processes = map[int]uint64{c.PID(): c.StartTime()}
	require.NotContains(t, pids(scan(t).Strays(known, nil)), c.PID())
}

// E64: what forks while it is being killed is dead in the end.
func TestE64ForkBombDies(t *testing.T) {
	needRoot(t)
	s, marks := newSpawner(t), newMarks(t)
	mark := must(marks.Next())
	c := start(t, s, asUser(role("bomb 4"), 12345, mark))
	for range 3 {
		require.Contains(t, c.line(t), "bomb") // it is under way
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, new(Scanner).Kill(ctx, func(table *Table) []Proc { return table.Marked(mark) }))
	require.Empty(t, living(must(FindMarked(mark))))
}

// E7: what KILL does not end is named with its state and the kernel's reason, and nobody waits for it beyond the time given. A writer on a frozen file
// system stays in the kernel until the thaw.
func TestE7UnkillableProcessIsNamed(t *testing.T) {
	mount := frozenFileSystem(t)
	defer mount.thaw(t) // before the child's end is waited for, whatever fails here
	s := newSpawner(t)
	c := start(t, s, role("write "+mount.dir+"/file"))
	require.Equal(t, "writing", c.line(t))
	require.Eventually(t, func() bool { // it is there for good, not on its way through a short wait
		st, err := StatOf(c.PID())
		return err == nil && st.Uninterruptible() && strings.Contains(st.Wchan, "percpu")
	}, patience, tick)

	ctx, cancel := context.WithCancel(t.Context())
	cancel() // no time at all: it must still look once
	find := func(table *Table) []Proc {
		return table.where(func(p *Proc) bool { return p.PID == c.PID() })
	}
	err := new(Scanner).Kill(ctx, find)
	var e *Unkillable
	require.ErrorAs(t, err, &e)
	require.Len(t, e.Left, 1)
	require.Equal(t, byte('D'), e.Left[0].State)
	require.Contains(t, e.Left[0].Wchan, "percpu")
	require.ErrorContains(t, err, "pid "+strconv.Itoa(c.PID())+" role state D in "+e.Left[0].Wchan)
	require.Contains(t, e.Hint(), "dmesg")

	mount.thaw(t)
	ctx, cancel = context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, new(Scanner).Kill(ctx, find))
	require.Equal(t, syscall.SIGKILL, c.wait(t).Signal)
}

// Many who look at the same time share the look, and none gets one that began before it asked.
func TestScansAreShared(t *testing.T) {
	s, sp := new(Scanner), newSpawner(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			p, err := sp.Start(role("sleep"))
			if !assert.NoError(t, err) {
				return
			}
			table, err := s.Scan()
			assert.NoError(t, err)
			assert.Contains(t, pids(table.All()), p.PID(), "born before the call, so it is there")
			assert.NoError(t, p.Signal(syscall.SIGKILL))
			_, err = p.Wait()
			assert.NoError(t, err)
			assert.NoError(t, p.Reap())
		})
	}
	wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Nil(t, s.waiting)
}

// E11: a signal to a scanned process does not reach a later owner of its number.
func TestE11ScannedProcessOfAnotherTime(t *testing.T) {
	s := newSpawner(t)
	c := start(t, s, role("sleep"))
	c.line(t)
	p := Proc{PID: c.PID(), Name: "old", StartTime: c.StartTime() - 1}
	require.ErrorIs(t, p.Signal(syscall.SIGKILL), os.ErrProcessDone)
	require.NoError(t, c.Signal(0))
}

// E18: zombies of a living parent are counted, not reaped.
func TestE18ZombiesUnderALivingParent(t *testing.T) {
	s := newSpawner(t)
	c := start(t, s, role("zombies"))
	require.Equal(t, "zombies", c.line(t))
	require.Eventually(t, func() bool { return scan(t).Zombies(c.PID()) == 3 }, patience, tick)
}

// E22: a leader that has gone while a thread lives on is not an end.
func TestE22LeaderGone(t *testing.T) {
	s := newSpawner(t)
	c := start(t, s, role("leaderless"))
	require.Equal(t, "leaderless", c.line(t))
	require.Eventually(t, func() bool {
		st, err := StatOf(c.PID())
		return err == nil && st.LeaderGone()
	}, patience, tick)
	st := must(StatOf(c.PID()))
	require.Contains(t, st.String(), "leader exited, "+strconv.Itoa(st.Threads)+" threads")
	require.Nil(t, c.peek(pidfdOf(t, c)), "it has not ended")
	all := must(Scan()).All()
	leader := all[slices.IndexFunc(all, func(p Proc) bool { return p.PID == c.PID() })]
	require.Equal(t, byte('Z'), leader.State)
	require.NotEmpty(t, living([]Proc{leader}))
	require.NoError(t, c.Signal(syscall.SIGKILL))
	require.Equal(t, syscall.SIGKILL, c.wait(t).Signal)
}

func pidfdOf(t *testing.T, c child) (n int) {
	t.Helper()
	require.NoError(t, c.poll.Control(func(fd uintptr) { n = int(fd) }))
	return n
}

func TestMarksAreOnePerRun(t *testing.T) {
	m := newMarks(t)
	seen := map[int]bool{}
	for range blockSize {
		gid := must(m.Next())
		require.False(t, seen[gid])
		require.True(t, m.Contains(gid))
		seen[gid] = true
	}
	_, err := m.Next()
	require.ErrorContains(t, err, "in use")
	m.Free(m.first + 5)
	require.Equal(t, m.first+5, must(m.Next()))
}

// Two appliances never share a mark, even where their ids hash alike: living processes are looked at.
func TestMarksAvoidStrangers(t *testing.T) {
	needRoot(t)
	s, first := newSpawner(t), newMarks(t)
	mark := must(first.Next())
	c := start(t, s, asUser(role("sleep"), 12345, mark))
	c.line(t)
	second := newMarks(t)
	require.False(t, second.Contains(mark), "the same id, but somebody's process is there")
	again, err := NewMarks("test "+t.Name()+strconv.Itoa(os.Getpid()), []int{mark})
	require.NoError(t, err)
	require.True(t, again.Contains(mark), "our own record explains it")
	require.NotEqual(t, mark, must(again.Next()))
}

func TestMarksFitTheUserNamespace(t *testing.T) {
	for in, want := range map[string]int{
		"0 0 4294967295\n":              MarksFirst,
		"0 1000 1\n1 100000 65536\n":    narrowFirst,
		"0 100000 65536\n":              narrowFirst,
		"0 0 1879048192\n":              narrowFirst,
		"0 0 10\n0 0 1\n5 5 4294967290": MarksFirst,
	} {
		first, _, err := chooseRange(strings.NewReader(in))
		require.NoError(t, err, in)
		require.Equal(t, want, first, in)
	}
	_, _, err := chooseRange(strings.NewReader("1000 1000 1\n"))
	require.ErrorIs(t, err, ErrNoMarks)
}

func TestParseStat(t *testing.T) {
	tail := " S 7 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 4711 1 1"
	st, err := parseStat([]byte("42 (a) b (c))" + tail))
	require.NoError(t, err)
	require.Equal(t, statLine{name: "a) b (c)", state: 'S', ppid: 7, threads: 1, startTime: 4711}, st)
	for _, bad := range []string{"", "42", "42 (x", "42 (x) S 1", "42 (x)" + strings.Replace(tail, "4711", "x", 1)} {
		_, err := parseStat([]byte(bad))
		require.Error(t, err, bad)
	}
	require.Equal(t, os.Getppid(), must(StatOf(os.Getpid())).PPID)
	require.Equal(t, unix.Getuid(), scan(t).where(func(p *Proc) bool { return p.PID == os.Getpid() })[0].UID)
}
