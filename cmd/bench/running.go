package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"strconv"
	"strings"
	"syscall"
	"time"
)

// running is a contestant at work.
type running struct {
	cmd    *exec.Cmd
	signal syscall.Signal
	dir    string
	began  int64 // CLOCK_MONOTONIC, just before fork
	ended  chan error
}

// start runs a contestant; its own messages go to a file, beside its directory: ours watches that for changes of its configuration.
func start(c contestant, dir string, argv []string) (*running, error) {
	out, err := os.OpenFile(dir+".output", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	r := &running{cmd: exec.Command(argv[0], argv[1:]...), signal: c.stop, dir: dir, ended: make(chan error, 1)}
	r.cmd.Stdout, r.cmd.Stderr, r.cmd.Dir = out, out, dir
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C reaches the bench alone, which then stops them
	r.began = now()
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { r.ended <- r.cmd.Wait() }()
	return r, nil
}

// up starts a contestant and waits for all of its services.
func (b *bench) up(c contestant, dir string, argv []string, n int) (*running, map[string]stamp, error) {
	b.stamps.drain()
	r, err := start(c, dir, argv)
	if err != nil {
		return nil, nil, err
	}
	got, err := b.stamps.collect("start", n)
	if err != nil {
		r.stop()
		return nil, nil, fmt.Errorf("%s: %w; it says: %s", c.name, err, r.lastWords())
	}
	return r, got, nil
}

func (r *running) lastWords() string {
	text, err := os.ReadFile(r.dir + ".output")
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " / ")
}

// stop ends a contestant and everything it started; what does not go by itself is killed.
func (r *running) stop() {
	family := descendants(r.cmd.Process.Pid)
	_ = r.cmd.Process.Signal(r.signal) // one that is gone needs none
	select {
	case <-r.ended:
	case <-time.After(20 * time.Second):
		_ = r.cmd.Process.Kill()
		<-r.ended
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end) && anyLives(family); {
		time.Sleep(time.Millisecond)
	}
	for _, p := range family {
		if p.lives() {
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
	}
}

// proc is a process that cannot be mistaken for a later one of its number.
type proc struct {
	pid   int
	start string
}

func (p proc) lives() bool {
	start, _, err := stat(p.pid)
	return err == nil && start == p.start
}

func anyLives(ps []proc) bool {
	for _, p := range ps {
		if p.lives() {
			return true
		}
	}
	return false
}

// stat is start time and parent.
func stat(pid int) (start string, parent int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 {
		return "", 0, errors.New("short stat")
	}
	parent, err = strconv.Atoi(fields[1])
	return fields[19], parent, err
}

// descendants are all below a process.
func descendants(root int) []proc {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	children := map[int][]proc{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if start, parent, err := stat(pid); err == nil {
			children[parent] = append(children[parent], proc{pid, start})
		}
	}
	var out []proc
	for todo := []int{root}; len(todo) > 0; todo = todo[1:] {
		for _, p := range children[todo[0]] {
			out = append(out, p)
			todo = append(todo, p.pid)
		}
	}
	return out
}

// role finds the descendant that runs as `sourcegraph ROLE`.
func (r *running) role(name string) (int, error) {
	for _, p := range descendants(r.cmd.Process.Pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
		if words := strings.Split(string(text), "\x00"); err == nil && len(words) > 1 && words[1] == name {
			return p.pid, nil
		}
	}
	return 0, fmt.Errorf("no process runs as %s; the appliance says: %s", name, r.lastWords())
}

// own are our own three processes: stage 0, stage 1 and the door.
func (r *running) own() ([]int, error) {
	stage1, err := r.role("supervise")
	if err != nil {
		return nil, err
	}
	door, err := r.role("door")
	return []int{r.cmd.Process.Pid, stage1, door}, err
}
