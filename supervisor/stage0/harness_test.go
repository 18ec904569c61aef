package stage0

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// patience is for a slow, noisy machine; no test measures time with it.
const patience = 30 * time.Second

// TestMain is also stage 0, a stage 1 that the test leads by the hand, and a mother of orphans.
func TestMain(m *testing.M) {
	switch os.Getenv("STAGE0_ROLE") {
	case "run":
		os.Exit(roleRun())
	case "supervise":
		os.Exit(rolePuppet())
	case "orphans":
		os.Exit(roleOrphans())
	case "sleep":
		time.Sleep(2 * patience)
		return
	}
	os.Exit(m.Run())
}

// setup is what the test passes to the role "run".
type setup struct {
	DataDir, RunDir, Fallback, Active, Control string
	StopTimeout                                time.Duration
	Timings                                    Timings
	MountProc                                  bool
}

func roleRun() int {
	time.AfterFunc(4*patience, func() { os.Exit(99) }) // mortal
	var s setup
	if err := json.Unmarshal([]byte(os.Getenv("STAGE0_SETUP")), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 98
	}
	if s.MountProc {
		// Private is /proc alone: the / of a chroot is no mount point.
		if err := errors.Join(unix.Mount("", "/proc", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("proc", "/proc", "proc", 0, "")); err != nil {
			fmt.Fprintln(os.Stderr, "mount /proc:", err)
			return 97
		}
	}
	os.Setenv("STAGE0_ROLE", "supervise")
	os.Setenv("STAGE0_CONTROL", s.Control)
	return Run(Config{Argv: []string{"supervise"}, Env: os.Environ(), DataDir: s.DataDir, RunDir: s.RunDir, Fallback: s.Fallback,
		Active: func() string { return s.Active }, StopTimeout: s.StopTimeout, Timings: s.Timings})
}

// event is what a puppet tells; command is what it is told.
type event struct {
	Kind    string // "born", "message", "eof", "spawned"
	PID     int
	Start   uint64
	Ignored uint64 // signals, at birth
	Message Message
	Content string // of the file of a GIVE
}

type command struct {
	Do      string
	Message Message
	Name    string
	Run     uint64
	Cgroup  string
	Argv    []string
	Raw     []byte
	Code    int
}

// rolePuppet is a stage 1 that does what the test says; it ends with the test or with stage 0.
func rolePuppet() int {
	conn, err := Inherit()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 96
	}
	control, err := net.Dial("unix", os.Getenv("STAGE0_CONTROL"))
	if err != nil {
		return 95
	}
	var mu sync.Mutex
	out := json.NewEncoder(control)
	tell := func(e event) {
		mu.Lock()
		defer mu.Unlock()
		_ = out.Encode(e)
	}
	hung := make(chan struct{})
	go beat(conn, hung)
	tell(event{Kind: "born", PID: os.Getpid(), Ignored: ignoredSignals()})
	go func() {
		for {
			m, err := conn.Recv()
			if err != nil {
				tell(event{Kind: "eof"})
				os.Exit(1)
			}
			e := event{Kind: "message", Message: m}
			if m.Type == Give && m.Name != lockName && len(m.Files) == 1 {
				buf := make([]byte, 64)
				n, _ := m.Files[0].Read(buf)
				e.Content = string(buf[:n])
			}
			e.Message.Files = nil
			tell(e)
		}
	}()
	in := json.NewDecoder(control)
	for {
		var c command
		if in.Decode(&c) != nil {
			_ = conn.Send(Message{Type: Done}) // the test is gone
			return 0
		}
		switch c.Do {
		case "send":
			err = conn.Send(c.Message)
		case "store":
			err = storePipe(conn, c.Name)
		case "spawn":
			var pid int
			pid, err = syscall.ForkExec(c.Argv[0], c.Argv, &syscall.ProcAttr{Env: []string{"STAGE0_ROLE=orphans", "PATH=" + os.Getenv("PATH")}, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true}})
			st, _ := readStat(pid)
			if err == nil && c.Run > 0 {
				err = conn.Send(Message{Type: Know, Name: "svc", Run: c.Run, PID: pid, StartTime: st.start, Cgroup: c.Cgroup})
			}
			tell(event{Kind: "spawned", PID: pid, Start: st.start})
		case "raw":
			var sent error
			_ = conn.raw.Control(func(fd uintptr) { sent = sendPacket(int(fd), c.Raw, nil) })
			err = sent
		case "hang":
			close(hung)
		case "exit":
			os.Exit(c.Code)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "puppet:", c.Do, err)
			return 94
		}
	}
}

func beat(conn *Conn, hung chan struct{}) {
	for {
		select {
		case <-hung:
			return
		case <-time.After(50 * time.Millisecond):
			_ = conn.Send(Message{Type: Beat})
		}
	}
}

// storePipe stores the read end of a pipe in which words wait.
func storePipe(conn *Conn, name string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	defer w.Close()
	fmt.Fprintf(w, "kept %s", name)
	return conn.Send(Message{Type: Store, Name: name, Files: []*os.File{r}})
}

// tree is a stage 0 under test.
type tree struct {
	t       *testing.T
	cmd     *exec.Cmd
	setup   setup
	logPath string
	lives   chan *puppet
	exited  chan int
}

// puppet is the test's hold on one stage 1.
type puppet struct {
	t      *testing.T
	pid    int
	born   event
	out    *json.Encoder
	events chan event
}

func startTree(t *testing.T, adjust ...func(*setup, *exec.Cmd)) *tree {
	t.Helper()
	dir := t.TempDir()
	tr := &tree{t: t, logPath: filepath.Join(dir, "log"), lives: make(chan *puppet, 100), exited: make(chan int, 1)}
	self, err := os.Executable()
	require.NoError(t, err)
	tr.setup = setup{DataDir: filepath.Join(dir, "data"), RunDir: dir, Fallback: self, StopTimeout: patience,
		Control: filepath.Join(dir, "c")}
	tr.cmd = exec.Command(self)
	for _, f := range adjust {
		f(&tr.setup, tr.cmd)
	}
	listener, err := net.Listen("unix", tr.setup.Control)
	require.NoError(t, err)
	go tr.accept(listener)
	log, err := os.Create(tr.logPath)
	require.NoError(t, err)
	defer log.Close()
	config, err := json.Marshal(tr.setup)
	require.NoError(t, err)
	tr.cmd.Env = append(append(os.Environ(), tr.cmd.Env...), "STAGE0_ROLE=run", "STAGE0_SETUP="+string(config))
	tr.cmd.Stdout, tr.cmd.Stderr = log, log
	require.NoError(t, tr.cmd.Start())
	go func() {
		_ = tr.cmd.Wait()
		tr.exited <- tr.cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		_ = tr.cmd.Process.Kill() // stage 1 sees the end of its socket and exits
		listener.Close()
		if t.Failed() {
			t.Log(tr.log())
		}
	})
	return tr
}

func (tr *tree) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p := &puppet{t: tr.t, out: json.NewEncoder(c), events: make(chan event, 10000)}
		in := json.NewDecoder(bufio.NewReader(c))
		if in.Decode(&p.born) != nil {
			continue
		}
		p.pid = p.born.PID
		go func() {
			defer close(p.events)
			for {
				var e event
				if in.Decode(&e) != nil {
					return
				}
				p.events <- e
			}
		}()
		tr.lives <- p
	}
}

func (tr *tree) log() string {
	content, _ := os.ReadFile(tr.logPath)
	return string(content)
}

func (tr *tree) logHas(text string) {
	tr.t.Helper()
	require.Eventually(tr.t, func() bool { return strings.Contains(tr.log(), text) }, patience, 20*time.Millisecond, text)
}

func (tr *tree) signal(sig syscall.Signal) { require.NoError(tr.t, tr.cmd.Process.Signal(sig)) }

// life is the next stage 1 that is born.
func (tr *tree) life() *puppet {
	tr.t.Helper()
	select {
	case p := <-tr.lives:
		return p
	case code := <-tr.exited:
		require.Failf(tr.t, "stage 0 ended", "code %d\n%s", code, tr.log())
	case <-time.After(patience):
		require.Fail(tr.t, "no stage 1 was born", tr.log())
	}
	return nil
}

func (tr *tree) code() int {
	tr.t.Helper()
	select {
	case code := <-tr.exited:
		return code
	case <-time.After(patience):
		require.Fail(tr.t, "stage 0 did not end", tr.log())
		return -1
	}
}

func (p *puppet) do(c command) { require.NoError(p.t, p.out.Encode(c)) }

func (p *puppet) send(m Message) { p.do(command{Do: "send", Message: m}) }

// next is the next event that fits, others are passed over.
func (p *puppet) next(fits func(event) bool) event {
	p.t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case e, ok := <-p.events:
			if !ok {
				require.Fail(p.t, "stage 1 ended before it told what we wait for")
			}
			if fits(e) {
				return e
			}
		case <-timeout:
			require.Fail(p.t, "stage 1 does not tell what we wait for")
		}
	}
}

func (p *puppet) message(want Type) Message {
	p.t.Helper()
	return p.next(func(e event) bool { return e.Kind == "message" && e.Message.Type == want }).Message
}

// spawn makes stage 1 start argv, known as "svc" with this run number, or unknown with 0.
func (p *puppet) spawn(run uint64, argv ...string) event {
	p.t.Helper()
	p.do(command{Do: "spawn", Run: run, Argv: argv})
	return p.next(func(e event) bool { return e.Kind == "spawned" })
}

// done ends stage 1 in order.
func (p *puppet) done(code int) {
	p.send(Message{Type: Done, Code: code})
	p.do(command{Do: "exit", Code: code})
}

func kill(t *testing.T, pid int, sig syscall.Signal) { require.NoError(t, unix.Kill(pid, sig)) }

func gone(t *testing.T, pid int, start uint64) {
	t.Helper()
	require.Eventually(t, func() bool {
		st, err := readStat(pid)
		return err != nil || st.start != start || st.dead()
	}, patience, 10*time.Millisecond)
}

// ignoredSignals is SigIgn of this process as it was inherited: bit n-1 is signal n.
func ignoredSignals() uint64 {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		var mask uint64
		if _, err := fmt.Sscanf(line, "SigIgn: %x", &mask); err == nil {
			return mask
		}
	}
	return 0
}
