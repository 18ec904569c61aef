package process

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Known is what the run records explain.
type Known struct {
	Stage0, Stage1 int            // pids; 0: none
	Processes      map[int]uint64 // pid -> start time of services and the door
	Marks          []int          // of runs that are recorded
}

// Strays are processes that are ours and that no record explains: they carry a mark of our block that no record has, or descend from stage 0 but
// from none of the known processes. A user alone proves nothing, so it is not asked.
//
// marks is nil in the one-user mode.
func (t *Table) Strays(known Known, marks *Marks) []Proc {
	explained := map[int]bool{known.Stage0: true, known.Stage1: true, os.Getpid(): true}
	for _, p := range t.procs {
		started, ok := known.Processes[p.PID]
		if ok && started == p.StartTime {
			explained[p.PID] = true
			for _, below := range t.Descendants(p.PID) {
				explained[below.PID] = true
			}
		}
	}
	found := map[int]bool{}
	if known.Stage0 > 0 {
		for _, p := range t.Descendants(known.Stage0) {
			found[p.PID] = true
		}
	}
	return t.where(func(p *Proc) bool {
		if explained[p.PID] || slices.ContainsFunc(known.Marks, func(gid int) bool { return slices.Contains(p.Groups, gid) }) {
			return false
		}
		marked := marks != nil && slices.ContainsFunc(p.Groups, marks.Contains)
		return (marked || found[p.PID]) && !p.Zombie()
	})
}

// Unkillable says what is still there after KILL, with the kernel's reason as far as it can be read.
type Unkillable struct {
	Left     []Stat
	Duration time.Duration // since the first KILL
}

func (e *Unkillable) Error() string {
	lines := make([]string, len(e.Left))
	for i, s := range e.Left {
		lines[i] = s.String()
	}
	return fmt.Sprintf("%d processes live on %s after KILL: %s", len(e.Left), e.Duration.Round(time.Millisecond), strings.Join(lines, "; "))
}

// Hint is what an operator can do.
func (e *Unkillable) Hint() string {
	return "a process in state D waits for a disk or a network file system: look there (dmesg); only its answer or a reboot ends it"
}

// The pauses between two scans of Kill.
const (
	firstPause = time.Millisecond
	maxPause   = 100 * time.Millisecond
)

// Kill kills all that find selects and proves it gone: it returns nil when two scans in a row found nothing. What forks meanwhile is found by
// the next scan. Zombies count as gone: their parent reaps them. When ctx ends first the error is an *Unkillable.
func (s *Scanner) Kill(ctx context.Context, find func(*Table) []Proc) error {
	begun := time.Now()
	for empty, pause := 0, firstPause; ; pause = min(2*pause, maxPause) {
		table, err := s.Scan()
		if err != nil {
			return fmt.Errorf("prove processes dead: %w", err)
		}
		left := living(find(table))
		if len(left) == 0 {
			if empty++; empty == 2 {
				return nil
			}
			continue
		}
		empty = 0
		killAll(left)
		select {
		case <-ctx.Done():
			return &Unkillable{evidence(left), time.Since(begun)}
		case <-time.After(pause):
		}
	}
}

// killAll stops everything before it kills the first, so that a fork bomb cannot answer a death with a birth.
func killAll(procs []Proc) {
	if len(procs) > 1 {
		for _, p := range procs {
			_ = p.Signal(unix.SIGSTOP) // gone, or not ours to signal: the next scan tells
		}
	}
	for _, p := range procs {
		_ = p.Signal(unix.SIGKILL)
	}
}

// living leaves out zombies.
func living(procs []Proc) []Proc { return slices.DeleteFunc(procs, Proc.Zombie) }

func evidence(procs []Proc) []Stat {
	var all []Stat
	for _, p := range procs {
		if st, err := StatOf(p.PID); err == nil && st.StartTime == p.StartTime {
			all = append(all, st)
		}
	}
	return all
}
