package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Proc is one process as a scan saw it.
type Proc struct {
	PID, PPID int
	Name      string
	State     byte
	Threads   int // that are not reaped, a leader that has ended included
	UID       int // real
	Groups    []int
	StartTime uint64
}

// Zombie reports that it has ended, with all its threads (E22), and waits for its parent.
func (p Proc) Zombie() bool { return (p.State == 'Z' || p.State == 'X') && p.Threads <= 1 }

// Signal sends sig to this very process: a number that was taken over since the scan is left alone. The error wraps os.ErrProcessDone if it is gone.
func (p Proc) Signal(sig unix.Signal) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err == nil {
		defer unix.Close(fd)
		var now uint64
		if now, err = StartTime(p.PID); err == nil && now != p.StartTime {
			err = os.ErrProcessDone
		}
	}
	if err == nil {
		err = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
	if err != nil {
		if isGone(err) || err == unix.EINVAL { // EINVAL: a thread by now
			err = os.ErrProcessDone
		}
		return fmt.Errorf("send %s to process %d (%s): %w", unix.SignalName(sig), p.PID, p.Name, err)
	}
	return nil
}

// Table is all processes of our pid namespace at about one time. A process that was born during the scan may be missing: prove an
// absence with two scans.
type Table struct {
	procs    []Proc
	children map[int][]int // indexes into procs, by parent
}

// Scan reads /proc once, about 35 µs a process.
func Scan() (*Table, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	t := &Table{children: map[int][]int{}}
	buf := make([]byte, 4096)
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		p, err := readProc(pid, &buf)
		switch {
		case err == nil:
			t.children[p.PPID] = append(t.children[p.PPID], len(t.procs))
			t.procs = append(t.procs, p)
		case !isGone(err) && !errors.Is(err, os.ErrPermission): // hidepid=2 hides others' processes, which are then not ours
			return nil, fmt.Errorf("look at process %d: %w", pid, err)
		}
	}
	return t, nil
}

// All is every process.
func (t *Table) All() []Proc { return t.procs }

// Marked is every process that carries the group.
func (t *Table) Marked(gid int) []Proc {
	return t.where(func(p *Proc) bool { return slices.Contains(p.Groups, gid) })
}

// Descendants is everything below pid, without pid itself; what was orphaned belongs to who inherited it.
func (t *Table) Descendants(pid int) []Proc {
	var below []Proc
	seen := map[int]bool{pid: true}
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		for _, i := range t.children[queue[0]] {
			if p := t.procs[i]; !seen[p.PID] {
				seen[p.PID] = true
				below = append(below, p)
				queue = append(queue, p.PID)
			}
		}
	}
	return below
}

// Zombies counts what pid and its descendants have left unreaped (E18): not ours to reap, worth a warning when it grows.
func (t *Table) Zombies(pid int) int {
	n := 0
	for _, p := range t.Descendants(pid) {
		if p.Zombie() {
			n++
		}
	}
	return n
}

// EnvVariable marks the processes of a run in the one-user mode, where there is no group to mark them with.
const EnvVariable = "APPLIANCE_RUN"

// EnvMarked is every process whose environment names one of the runs. It finds no program that overwrites its environment, as PostgreSQL's children do,
// and none of another user unless we are root.
func (t *Table) EnvMarked(run string) []Proc {
	return t.EnvMarkedAs(func(mark string) bool { return mark == run })
}

// EnvMarkedAs is every process whose environment names a run that is meant. What it overlooks is what [Table.EnvMarked] overlooks.
func (t *Table) EnvMarkedAs(meant func(run string) bool) []Proc {
	return t.where(func(p *Proc) bool {
		env, err := os.ReadFile(procFile(p.PID, "environ"))
		if err != nil {
			return false
		}
		for entry := range bytes.SplitSeq(env, []byte{0}) {
			if run, ok := bytes.CutPrefix(entry, []byte(EnvVariable+"=")); ok && meant(string(run)) {
				return true
			}
		}
		return false
	})
}

func (t *Table) where(is func(*Proc) bool) []Proc {
	var found []Proc
	for i := range t.procs {
		if is(&t.procs[i]) {
			found = append(found, t.procs[i])
		}
	}
	return found
}

// FindMarked scans for the processes of one mark.
func FindMarked(gid int) ([]Proc, error) {
	t, err := Scan()
	if err != nil {
		return nil, err
	}
	return t.Marked(gid), nil
}

// readProc reads stat, and status for the user and the groups unless it is a thread of the kernel, which has none.
func readProc(pid int, buf *[]byte) (Proc, error) {
	line, err := readInto(procFile(pid, "stat"), buf)
	if err != nil {
		return Proc{}, err
	}
	st, err := parseStat(line)
	if err != nil {
		return Proc{}, err
	}
	p := Proc{PID: pid, PPID: st.ppid, Name: st.name, State: st.state, Threads: st.threads, StartTime: st.startTime}
	if st.kernel {
		return p, nil
	}
	status, err := readInto(procFile(pid, "status"), buf)
	if err != nil {
		return Proc{}, err
	}
	p.UID, p.Groups = ids(status)
	return p, nil
}

// ids are the real user and the supplementary groups in /proc/PID/status.
func ids(status []byte) (uid int, groups []int) {
	for line := range bytes.Lines(status) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		switch string(key) {
		case "Uid":
			if f := bytes.Fields(value); len(f) > 0 {
				uid, _ = strconv.Atoi(string(f[0]))
			}
		case "Groups":
			for _, f := range bytes.Fields(value) {
				if gid, err := strconv.Atoi(string(f)); err == nil {
					groups = append(groups, gid)
				}
			}
			return uid, groups // it comes after Uid, and the rest is long
		}
	}
	return uid, nil
}

// readInto reads a whole file of /proc into buf, which grows as needed.
func readInto(file string, buf *[]byte) ([]byte, error) {
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for n := 0; ; {
		got, err := unix.Read(fd, (*buf)[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if got == 0 {
			return (*buf)[:n], nil
		}
		if n += got; n == len(*buf) {
			*buf = append(*buf, make([]byte, n)...)
		}
	}
}
