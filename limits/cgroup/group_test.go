package cgroup

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/limits/vm"
)

// patience is how long a test waits for the kernel or a process on a busy machine.
const patience = 30 * time.Second

var trees atomic.Int64

// openTree opens a tree of its own, which is destroyed with all that is in it when the test ends.
func openTree(t *testing.T, ignore ...string) *Tree {
	t.Helper()
	name := fmt.Sprintf("cgroup-test-%d-%d", os.Getpid(), trees.Add(1))
	tree, why, err := Open(Options{Name: name, Ignore: ignore})
	require.NoError(t, err)
	if vm.Inside() && len(ignore) == 0 {
		require.Equal(t, V2, tree.Grade(), why) // there nothing may be skipped for lack of it
		require.Empty(t, why)
	}
	if !tree.Contains() {
		t.Skipf("this machine lets us have no cgroup: %s", strings.Join(why, "; "))
	}
	t.Cleanup(func() {
		names, err := tree.Groups()
		require.NoError(t, err)
		for _, name := range names {
			g, err := tree.Adopt(name)
			require.NoError(t, err)
			require.NoError(t, g.Kill())
			require.NoError(t, g.WaitEmpty(within(t)))
		}
		require.NoError(t, tree.Destroy())
		for _, h := range tree.all() {
			if !h.delegated {
				require.NoDirExists(t, h.ours)
			}
		}
	})
	return tree
}

func create(t *testing.T, tree *Tree, b Budget) *Group {
	t.Helper()
	g, err := tree.Create(fmt.Sprintf("service-0.%d", trees.Add(1)), b)
	require.NoError(t, err)
	return g
}

func needs(t *testing.T, tree *Tree, controller string) {
	t.Helper()
	if !tree.Enforces(controller) {
		t.Skipf("the %s controller is not ours to use here", controller)
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// start runs a program that is born in the group, the way a supervisor does; it is killed when the test ends.
func start(t *testing.T, g *Group, argv ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.Env = append(os.Environ(), "TEST_ROLE="+argv[len(argv)-1])
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if fd, ok := g.SpawnFD(); ok {
		p.cmd.SysProcAttr.UseCgroupFD, p.cmd.SysProcAttr.CgroupFD = true, fd
	}
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewReader(out)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.NoError(t, g.Join())
	err = p.cmd.Start()
	require.NoError(t, g.Leave())
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = g.Kill()
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	return p
}

type process struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// line waits for the next line that the process prints.
func (p *process) line(t *testing.T) string {
	t.Helper()
	text, err := p.out.ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(text)
}

// TestMain plays the parts of the processes that the tests look at.
func TestMain(m *testing.M) {
	if role := os.Getenv("TEST_MOUNTS"); role != "" {
		if err := remount(role); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	if role, ok := roles[os.Getenv("TEST_ROLE")]; ok {
		role()
		return
	}
	os.Exit(m.Run())
}

var roles = map[string]func(){
	"bomb": bomb,
	"eat":  eat,
	"fork": fork,
	"bind": bindAll,
	"open": openAndTell,
	"ns":   inCgroupNamespace,
	"ro":   withReadOnlyCgroups,
	"pid":  asProcess1,
}

// bomb forks without end; every child does the same.
func bomb() {
	fmt.Println("bomb")
	for {
		_ = exec.Command(os.Args[0], "child").Start() // inherits the role
	}
}

// eat uses memory until it is killed.
func eat() {
	var hoard [][]byte
	for {
		chunk := make([]byte, 1<<20)
		for i := range chunk {
			chunk[i] = byte(i)
		}
		hoard = append(hoard, chunk)
		runtime.KeepAlive(hoard)
	}
}

// fork forks until it is refused, prints the reason and waits to be killed.
func fork() {
	for {
		cmd := exec.Command("sleep", "600")
		if err := cmd.Start(); err != nil {
			fmt.Println(err)
			select {}
		}
	}
}

// hierarchies runs a test for every way in which groups can be had on this machine.
func hierarchies(t *testing.T, test func(t *testing.T, tree *Tree)) {
	for name, ignore := range map[string][]string{
		"as here":         nil,
		"without cgroup2": {"cgroup2"},
	} {
		t.Run(name, func(t *testing.T) { test(t, openTree(t, ignore...)) })
	}
}

func TestChildIsBornInItsGroup(t *testing.T) {
	hierarchies(t, func(t *testing.T, tree *Tree) {
		g := create(t, tree, Budget{Memory: 64 << 20, CPUs: 0.5, Pids: 50})
		p := start(t, g, "sh", "-c", "sleep 600 & echo; wait")
		p.line(t)
		for _, place := range g.at() {
			found, err := members(place.dir)
			require.NoError(t, err)
			require.Len(t, found, 2, place.dir)
			require.Contains(t, found, p.pid())
		}
		populated, err := g.Populated()
		require.NoError(t, err)
		require.True(t, populated)
	})
}

func TestE1SetsidDaemonDiesWithItsGroup(t *testing.T) {
	hierarchies(t, func(t *testing.T, tree *Tree) {
		g := create(t, tree, Budget{})
		p := start(t, g, "sh", "-c", `(setsid sh -c 'trap "" TERM; echo $$; exec sleep 600' &) ; sleep 0`)
		p.line(t)
		require.NoError(t, p.cmd.Wait()) // the main process is gone, its daemon is not
		populated, err := g.Populated()
		require.NoError(t, err)
		require.True(t, populated)
		require.NoError(t, g.Kill())
		require.NoError(t, g.WaitEmpty(within(t)))
		require.NoError(t, g.Remove())
		require.ErrorAs(t, g.Exists(), new(Vanished))
		require.NoError(t, g.Remove())
	})
}

func TestE4KillReachesWhatTheV1FreezerHolds(t *testing.T) {
	freezer, ok := freezerMount()
	if !ok || freezer.readOnly || os.Getuid() != 0 {
		t.Skip("needs a writable v1 freezer and root")
	}
	hierarchies(t, func(t *testing.T, tree *Tree) {
		g := create(t, tree, Budget{})
		p := start(t, g, "sleep", "600")
		box := filepath.Join(freezer.dir, fmt.Sprintf("cgroup-test-%d", os.Getpid()))
		require.NoError(t, os.MkdirAll(filepath.Join(box, "inner"), 0o755))
		require.NoError(t, move(filepath.Join(box, "inner"), p.pid()))
		require.NoError(t, write(box, "freezer.state", "FROZEN"))
		require.NoError(t, g.Kill())
		require.NoError(t, g.WaitEmpty(within(t)))
		require.NoError(t, p.cmd.Process.Release())
		require.NoError(t, remove(filepath.Join(box, "inner")))
		require.NoError(t, remove(box))
	})
}

func TestE6KillReachesStoppedProcess(t *testing.T) {
	hierarchies(t, func(t *testing.T, tree *Tree) {
		g := create(t, tree, Budget{})
		p := start(t, g, "sleep", "600")
		require.NoError(t, p.cmd.Process.Signal(syscall.SIGSTOP))
		require.NoError(t, g.Kill())
		require.NoError(t, g.WaitEmpty(within(t)))
	})
}

func TestE23VanishedGroupIsToldFromMissingProgram(t *testing.T) {
	tree := openTree(t)
	g := create(t, tree, Budget{})
	fd, ok := g.SpawnFD()
	if !ok {
		t.Skip("needs cgroup2 and CLONE_INTO_CGROUP")
	}
	require.NoError(t, g.Exists())
	for _, p := range g.at() {
		require.NoError(t, os.Remove(p.dir)) // by somebody else
	}
	cmd := exec.Command("sleep", "0")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
	require.ErrorIs(t, cmd.Start(), os.ErrNotExist) // and names the program
	g.Close()
	fd, ok = g.SpawnFD()
	require.True(t, ok)
	cmd = exec.Command("sleep", "0")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: fd}
	require.ErrorIs(t, cmd.Start(), unix.EBADF) // rather than a child outside
	require.ErrorAs(t, g.Exists(), new(Vanished))
	populated, err := g.Populated()
	require.NoError(t, err)
	require.False(t, populated)
	require.NoError(t, g.Kill())
	require.NoError(t, g.WaitEmpty(within(t)))
	require.NoError(t, g.Remove())
}

func TestE41OOMIsCountedAlsoForAHelper(t *testing.T) {
	tree := openTree(t)
	needs(t, tree, memory)
	g := create(t, tree, Budget{Memory: 32 << 20})
	before, err := g.OOMKills()
	require.NoError(t, err)
	require.Zero(t, before)
	p := start(t, g, "sh", "-c", `"$0" eat; echo "helper ended with $?"; exec sleep 600`, os.Args[0], "eat")
	require.Equal(t, "helper ended with 137", p.line(t)) // the main process lives
	after, err := g.OOMKills()
	require.NoError(t, err)
	require.Positive(t, after)
	u, err := g.Usage()
	require.NoError(t, err)
	require.Less(t, u.MemoryPeak, int64(48<<20)) // a page or two over the limit are possible
	require.Greater(t, u.MemoryPeak, int64(16<<20))
	require.Positive(t, u.CPU)
}

func TestE64ForkBombIsBoundedAndDies(t *testing.T) {
	hierarchies(t, func(t *testing.T, tree *Tree) {
		needs(t, tree, pids)
		g := create(t, tree, Budget{Pids: 64})
		p := start(t, g, os.Args[0], "bomb")
		p.line(t)
		require.Eventually(t, func() bool {
			hits, err := g.PidsLimitHits()
			return err == nil && hits > 0
		}, patience, 5*time.Millisecond)
		require.NoError(t, exec.Command("true").Run()) // outside of it forks go on
		u, err := g.Usage()
		require.NoError(t, err)
		require.LessOrEqual(t, u.Pids, 64)
		require.NoError(t, g.Kill())
		require.NoError(t, g.WaitEmpty(within(t)))
		require.NoError(t, g.Remove())
	})
}

func TestE25ForkBeyondPidsMaxAnswersEAGAIN(t *testing.T) {
	tree := openTree(t)
	needs(t, tree, pids)
	p := start(t, create(t, tree, Budget{Pids: 40}), os.Args[0], "fork")
	require.Contains(t, p.line(t), syscall.EAGAIN.Error())
}

func TestForkBombWithoutPidsControllerDies(t *testing.T) {
	tree := openTree(t, "cgroup2", pids)
	g := create(t, tree, Budget{})
	start(t, g, "sh", "-c", "while :; do sleep 600 & done").pid()
	require.Eventually(t, func() bool { found, err := g.Pids(); return err == nil && len(found) > 20 }, patience, time.Millisecond)
	require.NoError(t, g.Kill())
	require.NoError(t, g.WaitEmpty(within(t)))
}

func TestWaitEmptyEndsWithTheLastProcess(t *testing.T) {
	hierarchies(t, func(t *testing.T, tree *Tree) {
		g := create(t, tree, Budget{})
		require.NoError(t, g.WaitEmpty(within(t))) // nobody yet
		p := start(t, g, "sleep", "600")
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- g.WaitEmpty(ctx) }()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		go func() { done <- g.WaitEmpty(within(t)) }()
		require.NoError(t, p.cmd.Process.Kill())
		require.NoError(t, <-done)
		populated, err := g.Populated()
		require.NoError(t, err)
		require.False(t, populated)
	})
}

func TestSetChangesAndRemovesBounds(t *testing.T) {
	hierarchies(t, func(t *testing.T, tree *Tree) {
		needs(t, tree, memory)
		needs(t, tree, pids)
		g := create(t, tree, Budget{})
		p := start(t, g, "sleep", "600")
		require.NoError(t, g.Set(Budget{Memory: 64 << 20, Pids: 9, CPUs: 0.25, CPUWeight: 50})) // reaches what runs
		m, _ := g.in(memory)
		require.Contains(t, processes(t, m.dir), p.pid())
		require.Equal(t, fmt.Sprint(64<<20), content(t, m.dir, m.pick("memory.max", "memory.limit_in_bytes")))
		q, _ := g.in(pids)
		require.Equal(t, "9", content(t, q.dir, "pids.max"))
		c, _ := g.in(cpu)
		require.Contains(t, content(t, c.dir, c.pick("cpu.max", "cpu.cfs_quota_us")), "25000")
		require.Equal(t, c.pick("50", "512"), content(t, c.dir, c.pick("cpu.weight", "cpu.shares")))
		require.NoError(t, g.Set(Budget{}))
		require.NotEqual(t, fmt.Sprint(64<<20), content(t, m.dir, m.pick("memory.max", "memory.limit_in_bytes")))
		require.Equal(t, "max", content(t, q.dir, "pids.max"))
	})
}

// TestEveryGroupHasItsOwnShareOfTheCPUs, also one without any bound: a thousand busy processes of one service count as much as one of another.
func TestEveryGroupHasItsOwnShareOfTheCPUs(t *testing.T) {
	hierarchies(t, func(t *testing.T, tree *Tree) {
		needs(t, tree, cpu)
		g := create(t, tree, Budget{})
		p := start(t, g, "sleep", "600")
		c, ok := g.in(cpu)
		require.True(t, ok, "it shares with the supervisor and all others that have no bound")
		require.Contains(t, processes(t, c.dir), p.pid())
		require.Equal(t, c.pick("100", "1024"), content(t, c.dir, c.pick("cpu.weight", "cpu.shares")))
	})
}

func processes(t *testing.T, dir string) []int {
	t.Helper()
	found, err := members(dir)
	require.NoError(t, err)
	return found
}

func content(t *testing.T, dir, file string) string {
	t.Helper()
	text, err := read(dir, file)
	require.NoError(t, err)
	return text
}

func TestE54LeftGroupsAreAdopted(t *testing.T) {
	hierarchies(t, func(t *testing.T, tree *Tree) {
		g := create(t, tree, Budget{Pids: 20})
		p := start(t, g, "sleep", "600")
		names, err := tree.Groups()
		require.NoError(t, err)
		require.Equal(t, []string{g.Name()}, names)
		again, err := tree.AdoptAt(g.Name(), g.Paths())
		require.NoError(t, err)
		require.Equal(t, g.Paths(), again.Paths())
		found, err := again.Pids()
		require.NoError(t, err)
		require.Equal(t, []int{p.pid()}, found)
		_, err = tree.Create(g.Name(), Budget{})
		require.ErrorIs(t, err, os.ErrExist)
		_, err = tree.Adopt("absent-0.1")
		require.ErrorIs(t, err, os.ErrNotExist)
		_, err = tree.AdoptAt(g.Name(), []string{"/etc/" + g.Name()})
		require.ErrorContains(t, err, "is not one of ours")
	})
}

func TestSupervisorSitsInItsLeafAndReturns(t *testing.T) {
	name := fmt.Sprintf("cgroup-test-%d-%d", os.Getpid(), trees.Add(1))
	helper := exec.Command("sleep", "600")
	require.NoError(t, helper.Start())
	defer func() { _ = helper.Process.Kill(); _ = helper.Wait() }()
	before := content(t, "/proc/self", "cgroup")
	tree, _, err := Open(Options{Name: name, Family: []int{helper.Process.Pid}})
	require.NoError(t, err)
	if !tree.Contains() {
		t.Skip("this machine lets us have no cgroup")
	}
	require.NoError(t, tree.EnterSupervisor())
	for _, h := range tree.all() {
		require.Contains(t, processes(t, h.leaf()), os.Getpid())
		require.Contains(t, processes(t, h.leaf()), helper.Process.Pid)
	}
	again, _, err := Open(Options{Name: name}) // a later stage 1 starts in the leaf
	require.NoError(t, err)
	require.Equal(t, tree.Supervisor().Paths(), again.Supervisor().Paths())
	require.ErrorContains(t, again.Supervisor().Kill(), "that is us")
	require.NoError(t, again.Supervisor().Set(Budget{MemoryLow: 16 << 20, CPUWeight: 200}))
	require.NoError(t, tree.Destroy())
	require.Equal(t, before, content(t, "/proc/self", "cgroup"))
	for _, h := range tree.all() {
		require.True(t, h.delegated || !slices.Contains(names(t, filepath.Dir(h.ours)), name))
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found
}
