package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Stat is the kernel's view of one process: evidence for what a person should know when it does not end.
type Stat struct {
	PID, PPID int
	Name      string
	State     byte // R, S, D, T, t, Z, X, I
	StartTime uint64
	Threads   int    // that have not ended
	Wchan     string // the kernel function it sleeps in; empty if not readable or none
	Stack     string // kernel stack, innermost first, separated by " < "; root only
}

// StatOf reads it. The error wraps fs.ErrNotExist if there is no such process.
func StatOf(pid int) (Stat, error) {
	line, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return Stat{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	parsed, err := parseStat(line)
	if err != nil {
		return Stat{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	s := Stat{PID: pid, PPID: parsed.ppid, Name: parsed.name, State: parsed.state, StartTime: parsed.startTime}
	s.Threads, s.Wchan, s.Stack = threadsOf(pid)
	return s, nil
}

// LeaderGone reports a process whose main thread has ended while others run on (E22): it looks like a zombie, yet holds its memory and ports.
func (s Stat) LeaderGone() bool { return s.State == 'Z' && s.Threads > 0 }

// Uninterruptible reports a process that not even SIGKILL ends now: it waits inside the kernel.
func (s Stat) Uninterruptible() bool { return s.State == 'D' }

// String is one line of evidence: "pid 42 postgres state D in jbd2_log_wait_commit".
func (s Stat) String() string {
	text := fmt.Sprintf("pid %d %s state %c", s.PID, s.Name, s.State)
	if s.LeaderGone() {
		text += fmt.Sprintf(", leader exited, %d threads", s.Threads)
	}
	if s.Wchan != "" {
		text += " in " + s.Wchan
	}
	if s.Stack != "" {
		text += " (" + s.Stack + ")"
	}
	return text
}

// threadsOf counts the live threads and tells where the most stuck of them sleeps.
func threadsOf(pid int) (live int, wchan, stack string) {
	tasks, err := os.ReadDir(procFile(pid, "task"))
	if err != nil {
		return 0, "", ""
	}
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		line, err := os.ReadFile(procFile(tid, "stat"))
		if err != nil {
			continue
		}
		st, err := parseStat(line)
		if err != nil || st.state == 'Z' || st.state == 'X' {
			continue
		}
		live++
		if w := read(procFile(tid, "wchan")); w != "" && w != "0" && (wchan == "" || st.state == 'D') {
			wchan, stack = w, stackOf(tid)
		}
	}
	return live, wchan, stack
}

func read(file string) string {
	text, _ := os.ReadFile(file)
	return string(bytes.TrimSpace(text))
}

// maxFrames bounds the kernel stack in an event.
const maxFrames = 8

func stackOf(tid int) string {
	var frames []string
	for _, line := range strings.Split(read(procFile(tid, "stack")), "\n") {
		if _, frame, ok := strings.Cut(line, "] "); ok && len(frames) < maxFrames {
			frame, _, _ = strings.Cut(frame, "+")
			frames = append(frames, frame)
		}
	}
	return strings.Join(frames, " < ")
}
