package stage0

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// killPoll is the pause between two looks at what was killed.
const killPoll = 5 * time.Millisecond

// maxNamed bounds the list of what was killed.
const maxNamed = 20

// sweep kills and reaps everything that is left: known cgroups, then all descendants. It returns what it had to kill and
// what is not dead after patience (a process in state D, say).
func (s *stage0) sweep(patience time.Duration) (killed, undead []string) {
	names := map[int]string{}
	for until := After(patience); ; time.Sleep(killPoll) {
		left := s.killRound()
		for _, st := range left {
			if names[st.pid] == "" {
				names[st.pid] = s.ledger.label(st)
			}
		}
		state := s.reap()
		for state == more {
			state = s.reap()
		}
		if state == noChildren && len(left) == 0 {
			break
		}
		if until.Left() < 0 {
			for _, st := range left {
				undead = append(undead, fmt.Sprintf("%s in state %c%s", names[st.pid], st.state, waitsIn(st.pid)))
			}
			break
		}
		s.notify.tick(time.Now())
	}
	for _, name := range names {
		killed = append(killed, name)
	}
	slices.Sort(killed)
	return killed, undead
}

// killRound sends one round of SIGKILL and returns who got it.
func (s *stage0) killRound() []stat {
	seen := map[int]stat{}
	for dir := range s.ledger.cgroups {
		for _, st := range killCgroup(dir) {
			seen[st.pid] = st
		}
	}
	for _, st := range s.below() {
		_ = unix.Kill(st.pid, unix.SIGKILL)
		if !st.dead() {
			seen[st.pid] = st
		}
	}
	var all []stat
	for _, st := range seen {
		all = append(all, st)
	}
	return all
}

// below is everything that descends from us. Whoever has no child has no descendant: then /proc, with all that the machine runs, is not read.
func (s *stage0) below() []stat {
	if s.reap() == noChildren {
		return nil
	}
	below, err := descendants(os.Getpid())
	if err != nil && os.Getpid() == 1 {
		_ = unix.Kill(-1, unix.SIGKILL) // no /proc: as process 1 everything else is below us
	}
	return below
}

// nothingLeft says that no child lives, and nothing in a cgroup that we know of.
func (s *stage0) nothingLeft() bool {
	if s.reap() != noChildren {
		return false
	}
	for dir := range s.ledger.cgroups {
		for _, pid := range cgroupPIDs(dir) {
			if st, err := readStat(pid); pid != os.Getpid() && err == nil && !st.dead() {
				return false
			}
		}
	}
	return true
}

// killCgroup kills everything in dir and below, with cgroup.kill where the kernel has it, and returns who was there. A
// group that holds ourselves is left alone: then nothing told its members apart from us.
func killCgroup(dir string) []stat {
	pids := cgroupPIDs(dir)
	if slices.Contains(pids, os.Getpid()) {
		return nil
	}
	var alive []stat
	for _, pid := range pids {
		if st, err := readStat(pid); err == nil && !st.dead() {
			alive = append(alive, st)
		}
	}
	if len(pids) == 0 {
		return nil
	}
	if writeExisting(filepath.Join(dir, "cgroup.kill"), "1") != nil {
		for _, st := range alive {
			_ = unix.Kill(st.pid, unix.SIGKILL)
		}
		thaw(dir)
	}
	return alive
}

// thaw lets what was killed in a frozen v1 group die (E4).
func thaw(dir string) {
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			_ = writeExisting(filepath.Join(path, "freezer.state"), "THAWED") // absent in other hierarchies
		}
		return nil
	})
}

// cgroupPIDs are the processes in dir and below that we can see.
func cgroupPIDs(dir string) []int {
	if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err != nil {
		return nil // gone, or never a cgroup: not to be walked
	}
	var pids []int
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.Name() != "cgroup.procs" {
			return nil // a group may vanish meanwhile
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		for line := range strings.Lines(string(content)) {
			var pid int
			if _, err := fmt.Sscan(line, &pid); err == nil && pid > 1 { // 0: outside our pid namespace
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids
}

// waitsIn says where in the kernel pid hangs, if we may know.
func waitsIn(pid int) string {
	where, err := readSmall(fmt.Sprintf("/proc/%d/wchan", pid))
	if err != nil || where == "" || where == "0" {
		return ""
	}
	return " at " + where
}

// listed is names as one bounded line.
func listed(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}
