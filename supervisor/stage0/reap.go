package stage0

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// reapBatch is how many zombies are reaped before the loop looks at other things (E17).
const reapBatch = 256

// reaped says what a batch found.
type reaped int

const (
	noneNow    reaped = iota // children live
	noChildren               // none at all
	more                     // the batch is full
)

// peekZombie is the first child that can be reaped, 0 if there is none now, ECHILD if there are no children. It is the
// peek that makes identities safe: as long as the zombie is there, its start time can be read and its pid is its own.
func peekZombie() (int, error) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
		if err == unix.EINTR {
			continue
		}
		return siginfoPID(&info), err
	}
}

// siginfoPID is si_pid, which follows the 16 bytes of preamble on 64-bit machines.
func siginfoPID(info *unix.Siginfo) int {
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), 16)))
}

// reap waits for one batch. Peek then reap the same pid: a peek alone would return the first zombie for ever (E16).
func (s *stage0) reap() reaped {
	for range reapBatch {
		pid, err := peekZombie()
		if err == unix.ECHILD {
			return noChildren
		}
		if err != nil || pid <= 0 {
			return noneNow
		}
		s.bury(pid)
	}
	return more
}

// bury reaps pid and tells who must know.
func (s *stage0) bury(pid int) {
	if l := s.life; l != nil && l.pid == pid {
		s.receive() // all that it sent before it died, before anything is decided about its children
		if status, ok := wait(pid); ok {
			s.lifeEnded(status)
		}
		return
	}
	p := s.identify(pid)
	status, ok := wait(pid)
	if !ok || p == nil {
		return
	}
	s.ledger.ended(p, status)
	if s.life != nil {
		s.post(p.exit())
	}
}

// identify is the known process that pid is. An unknown child may be one that a dead stage 1 told of in a packet not yet
// read: its parent is dead, so all packets about it are there.
func (s *stage0) identify(pid int) *process {
	if p := s.identifyKnown(pid); p != nil {
		return p
	}
	s.receive()
	return s.identifyKnown(pid)
}

func (s *stage0) identifyKnown(pid int) *process {
	if len(s.ledger.byPID[pid]) == 0 {
		return nil
	}
	st, err := readStat(pid)
	if err != nil {
		return nil
	}
	return s.ledger.find(pid, st.start)
}

func wait(pid int) (unix.WaitStatus, bool) {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(pid, &status, unix.WNOHANG|unix.WALL, nil)
		if err != unix.EINTR {
			return status, err == nil && got == pid
		}
	}
}
