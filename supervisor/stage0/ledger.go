package stage0

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxKnown bounds the processes of which stage 1 wants the exits, and the cgroups.
const maxKnown = 8192

// process is one that stage 1 made known.
type process struct {
	name   string
	run    uint64
	pid    int
	start  uint64
	ended  bool
	status uint32
}

func (p *process) exit() Message {
	return Message{Type: Exit, Name: p.name, Run: p.run, PID: p.pid, StartTime: p.start, Status: p.status}
}

type identity struct {
	name string
	run  uint64
}

// ledger keeps known processes until they are acknowledged, and known cgroups as long as they exist.
type ledger struct {
	byIdentity map[identity]*process
	byPID      map[int][]*process // living ones; two when a number was used again before stage 1 acknowledged the first
	cgroups    map[string]struct{}
}

func newLedger() *ledger {
	return &ledger{byIdentity: map[identity]*process{}, byPID: map[int][]*process{}, cgroups: map[string]struct{}{}}
}

// know adds the process and the cgroup of m. A process that is known already keeps what was learned of it.
func (l *ledger) know(m Message) error {
	if err := l.knowCgroup(m.Cgroup); err != nil {
		return err
	}
	id := identity{m.Name, m.Run}
	if old := l.byIdentity[id]; m.PID <= 1 || old != nil && old.pid == m.PID && old.start == m.StartTime {
		return nil
	}
	l.forget(m.Name, m.Run)
	if len(l.byIdentity) >= maxKnown {
		return fmt.Errorf("know %s run %d: %d processes are known and not acknowledged, the limit", m.Name, m.Run, maxKnown)
	}
	p := &process{name: m.Name, run: m.Run, pid: m.PID, start: m.StartTime}
	l.byIdentity[id] = p
	l.byPID[p.pid] = append(l.byPID[p.pid], p)
	return nil
}

func (l *ledger) knowCgroup(joined string) error {
	for _, dir := range strings.Split(joined, "\x00") {
		if !strings.HasPrefix(dir, "/") {
			continue
		}
		if len(l.cgroups) >= maxKnown {
			l.pruneCgroups()
		}
		if len(l.cgroups) >= maxKnown {
			return fmt.Errorf("know cgroup %s: %d exist already, the limit", dir, maxKnown)
		}
		l.cgroups[dir] = struct{}{}
	}
	return nil
}

func (l *ledger) pruneCgroups() {
	for dir := range l.cgroups {
		if _, err := os.Stat(dir); err != nil {
			delete(l.cgroups, dir)
		}
	}
}

// forget is the answer to ACK.
func (l *ledger) forget(name string, run uint64) {
	id := identity{name, run}
	if p := l.byIdentity[id]; p != nil {
		delete(l.byIdentity, id)
		l.unlink(p)
	}
}

func (l *ledger) unlink(p *process) {
	rest := slices.DeleteFunc(l.byPID[p.pid], func(q *process) bool { return q == p })
	if len(rest) == 0 {
		delete(l.byPID, p.pid)
		return
	}
	l.byPID[p.pid] = rest
}

// find is the known living process with this pid and start time.
func (l *ledger) find(pid int, start uint64) *process {
	for _, p := range l.byPID[pid] {
		if p.start == start {
			return p
		}
	}
	return nil
}

// ended records how p ended; it stays until it is acknowledged.
func (l *ledger) ended(p *process, status unix.WaitStatus) {
	p.ended, p.status = true, uint32(status)
	l.unlink(p)
}

// exits are the ends that stage 1 has not acknowledged.
func (l *ledger) exits() []Message {
	var all []Message
	for _, p := range l.byIdentity {
		if p.ended {
			all = append(all, p.exit())
		}
	}
	slices.SortFunc(all, func(a, b Message) int {
		return strings.Compare(fmt.Sprintf("%s %020d", a.Name, a.Run), fmt.Sprintf("%s %020d", b.Name, b.Run))
	})
	return all
}

// label names pid for people: the service if it is known, else what the process calls itself.
func (l *ledger) label(st stat) string {
	if p := l.find(st.pid, st.start); p != nil {
		return fmt.Sprintf("%s (%s, pid %d)", p.name, st.comm, st.pid)
	}
	return fmt.Sprintf("%s (pid %d)", st.comm, st.pid)
}
