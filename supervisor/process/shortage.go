package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// reachedLimit names the limit behind a refused fork, as far as it can be seen from here.
func reachedLimit(spec Spec, err error) string {
	switch {
	case errors.Is(err, unix.EMFILE):
		var lim unix.Rlimit
		_ = ownLimit(nil, &lim)
		return fmt.Sprintf("the appliance has all its %d descriptors open", lim.Cur)
	case errors.Is(err, unix.ENFILE):
		return "fs.file-max: the machine has no descriptors left"
	case errors.Is(err, unix.ENOMEM):
		return "no memory for a new process"
	}
	for _, dir := range pidsGroups(spec) {
		if text := fullPidsGroup(dir); text != "" {
			return text
		}
	}
	return processLimit()
}

// pidsGroups are the cgroups that count the new process: its own and ours, with all above them.
func pidsGroups(spec Spec) []string {
	var start []string
	if spec.CgroupFD >= 0 {
		start = append(start, cgroupPath(spec))
	}
	for _, file := range spec.TaskFiles {
		start = append(start, filepath.Dir(file))
	}
	var all []string
	for _, dir := range start {
		for ; len(dir) > 1 && exists(filepath.Join(dir, "cgroup.procs")); dir = filepath.Dir(dir) {
			all = append(all, dir)
		}
	}
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func fullPidsGroup(dir string) string {
	most, err1 := readNumber(filepath.Join(dir, "pids.max"))
	now, err2 := readNumber(filepath.Join(dir, "pids.current"))
	if err1 != nil || err2 != nil || now < most {
		return ""
	}
	return fmt.Sprintf("pids.max=%d of %s", most, dir)
}

func readNumber(file string) (uint64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

func processLimit() string {
	var lim unix.Rlimit
	text := "no more processes"
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &lim); err == nil && lim.Cur != unix.RLIM_INFINITY {
		text += fmt.Sprintf(", RLIMIT_NPROC=%d", lim.Cur)
	}
	for _, name := range []string{"threads-max", "pid_max"} {
		if n, err := readNumber("/proc/sys/kernel/" + name); err == nil {
			text += fmt.Sprintf(", kernel.%s=%d", name, n)
		}
	}
	return text
}
