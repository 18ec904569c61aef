package process

import (
	"bufio"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
	"sync"
)

// The marks of a machine: group numbers that systemd's table of ids calls unused, below 2^31 since some programs take more for negative.
// Source: systemd, docs/UIDS-GIDS.md, "1879048192…2147483647".
const (
	MarksFirst = 1879048192
	MarksLast  = 2147483647
)

// The marks where a user namespace has only the usual 65536 groups: regular users' numbers that adduser reaches last.
const (
	narrowFirst = 40000
	narrowLast  = 59999
)

// blockSize is how many marks one appliance turns over, so that appliances on one machine do not meet: more than it has runs alive.
const blockSize = 4096

// Marks gives every run a supplementary group of its own: an unprivileged process cannot drop it, its children inherit it, and
// /proc/PID/status shows it, so "no process carries it" proves a run dead without a cgroup.
type Marks struct {
	first, last int // the appliance's block

	mu   sync.Mutex
	next int
	used map[int]bool
}

// NewMarks takes the block that belongs to id, which names the appliance on this machine for ever (a hash of its data directory's device and inode).
// used are the marks of runs that may be alive. When processes of somebody else carry marks of the block, the next free block is taken.
func NewMarks(id string, used []int) (*Marks, error) {
	first, last, err := marksHere()
	if err != nil {
		return nil, err
	}
	table, err := Scan()
	if err != nil {
		return nil, err
	}
	m := &Marks{used: map[int]bool{}}
	for _, gid := range used {
		m.used[gid] = true
	}
	blocks := (last - first + 1) / blockSize
	h := fnv.New64a()
	_, _ = io.WriteString(h, id)
	start := int(h.Sum64() % uint64(blocks))
	for i := range blocks {
		m.first = first + (start+i)%blocks*blockSize
		m.last = m.first + blockSize - 1
		if !m.strangers(table) {
			m.next = m.first
			return m, nil
		}
	}
	return nil, errors.New("choose marks for the runs: every block of groups is in use on this machine")
}

// strangers reports whether a process carries a mark of the block that is not in use by us.
func (m *Marks) strangers(table *Table) bool {
	return slices.ContainsFunc(table.All(), func(p Proc) bool {
		return slices.ContainsFunc(p.Groups, func(gid int) bool { return m.Contains(gid) && !m.used[gid] })
	})
}

// Contains reports whether gid is of this appliance's block: a process with it is ours.
func (m *Marks) Contains(gid int) bool { return gid >= m.first && gid <= m.last }

// Next is a mark that no living run has.
func (m *Marks) Next() (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range blockSize {
		gid := m.next
		if m.next++; m.next > m.last {
			m.next = m.first
		}
		if !m.used[gid] {
			m.used[gid] = true
			return gid, nil
		}
	}
	return 0, fmt.Errorf("choose a mark: all %d are in use", blockSize)
}

// Free gives a mark back whose run is proven dead.
func (m *Marks) Free(gid int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.used, gid)
}

// marksHere is the widest of the two ranges that our user namespace maps.
func marksHere() (first, last int, err error) {
	f, err := os.Open("/proc/self/gid_map")
	if errors.Is(err, os.ErrNotExist) { // a kernel without user namespaces has all groups
		return MarksFirst, MarksLast, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("choose marks for the runs: %w", err)
	}
	defer f.Close()
	return chooseRange(f)
}

func chooseRange(gidMap io.Reader) (first, last int, err error) {
	var maps [][2]int
	for lines := bufio.NewScanner(gidMap); lines.Scan(); {
		var inside, outside, count int
		if _, err := fmt.Sscan(lines.Text(), &inside, &outside, &count); err == nil {
			maps = append(maps, [2]int{inside, inside + count - 1})
		}
	}
	for _, r := range [][2]int{{MarksFirst, MarksLast}, {narrowFirst, narrowLast}} {
		if slices.ContainsFunc(maps, func(m [2]int) bool { return m[0] <= r[0] && r[1] <= m[1] }) {
			return r[0], r[1], nil
		}
	}
	return 0, 0, fmt.Errorf("choose marks for the runs: this user namespace has none of the groups %d..%d: %w", narrowFirst, narrowLast, ErrNoMarks)
}

// ErrNoMarks says that runs cannot be marked with a group here: proof of death has to come from cgroups alone.
var ErrNoMarks = errors.New("no groups to mark runs with")
