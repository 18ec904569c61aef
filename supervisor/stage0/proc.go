package stage0

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// stat is what we need of /proc/PID/stat.
type stat struct {
	pid, ppid int
	comm      string
	state     byte
	start     uint64 // clock ticks since boot
}

var errStat = errors.New("unexpected form")

// dead says that only its parent's wait is missing, or that threads outlive the leader.
func (st stat) dead() bool { return st.state == 'Z' || st.state == 'X' }

func readStat(pid int) (stat, error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	line, err := readSmall(path)
	if err != nil {
		return stat{}, err
	}
	st, err := parseStat(line)
	if err != nil {
		return stat{}, fmt.Errorf("read %s: %w", path, err)
	}
	return st, nil
}

// parseStat reads the line of /proc/PID/stat; comm may hold spaces and brackets, so its last bracket counts.
func parseStat(line string) (stat, error) {
	opened, closed := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if opened < 1 || closed < opened {
		return stat{}, errStat
	}
	rest := strings.Fields(line[closed+1:]) // from field 3, the state
	if len(rest) < 20 || len(rest[0]) != 1 {
		return stat{}, errStat
	}
	pid, err1 := strconv.Atoi(strings.TrimSpace(line[:opened]))
	ppid, err2 := strconv.Atoi(rest[1])
	start, err3 := strconv.ParseUint(rest[19], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return stat{}, fmt.Errorf("%w: %w", errStat, err)
	}
	return stat{pid: pid, ppid: ppid, comm: line[opened+1 : closed], state: rest[0][0], start: start}, nil
}

// descendants are the processes below root, zombies included: a dead leader may have living threads (E22).
func descendants(root int) ([]stat, error) {
	names, err := pidsIn("/proc")
	if err != nil {
		return nil, err
	}
	children := map[int][]stat{}
	for _, pid := range names {
		if st, err := readStat(pid); err == nil {
			children[st.ppid] = append(children[st.ppid], st)
		}
	}
	var found []stat
	for queue := []int{root}; len(queue) > 0; queue = queue[1:] {
		for _, st := range children[queue[0]] {
			queue = append(queue, st.pid)
			found = append(found, st)
		}
	}
	return found, nil
}

func pidsIn(proc string) ([]int, error) {
	dir, err := os.Open(proc)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
