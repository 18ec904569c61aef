package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

func procFile(pid int, name string) string {
	return "/proc/" + strconv.Itoa(pid) + "/" + name
}

// StartTime is the start of a process in clock ticks since boot: field 22 of /proc/PID/stat. With the boot id it tells apart two
// processes of one number.
func StartTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(procFile(pid, "stat"))
	if err != nil {
		return 0, fmt.Errorf("read the start time of process %d: %w", pid, err)
	}
	s, err := parseStat(stat)
	if err != nil {
		return 0, fmt.Errorf("read the start time of process %d: %w", pid, err)
	}
	return s.startTime, nil
}

// kernelThread is PF_KTHREAD of linux/sched.h in the flags, field 9.
const kernelThread = 0x00200000

// statLine is the part of /proc/PID/stat that we use.
type statLine struct {
	threads   int // that are not reaped, a leader that has ended included
	name      string
	state     byte
	ppid      int
	kernel    bool // a thread of the kernel
	startTime uint64
}

// parseStat copes with a name that holds blanks and parentheses: the fields begin after the last one.
func parseStat(stat []byte) (statLine, error) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return statLine{}, fmt.Errorf("no name in %q", stat)
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return statLine{}, fmt.Errorf("too few fields in %q", stat)
	}
	ppid, err1 := strconv.Atoi(string(fields[1]))
	flags, err2 := strconv.ParseUint(string(fields[6]), 10, 64)
	threads, err4 := strconv.Atoi(string(fields[17]))
	started, err3 := strconv.ParseUint(string(fields[19]), 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		return statLine{}, fmt.Errorf("no numbers in %q", stat)
	}
	return statLine{name: string(stat[open+1 : end]), state: fields[0][0], ppid: ppid, kernel: flags&kernelThread != 0, threads: threads, startTime: started}, nil
}
