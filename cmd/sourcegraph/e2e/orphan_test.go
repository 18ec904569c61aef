package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// living finds every process of this appliance: in its cgroups, started from its directories, or with a name of them in its environment.
func (a *appliance) living() map[int]string {
	a.t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(a.t, err)
	found := map[int]string{}
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if pid == os.Getpid() {
			continue
		}
		line, _ := os.ReadFile(dir + "/cmdline") // gone meanwhile: no process
		environ, _ := os.ReadFile(dir + "/environ")
		cwd, _ := os.Readlink(dir + "/cwd")
		if stat, _ := os.ReadFile(dir + "/stat"); bytes.Contains(stat, []byte(") Z ")) {
			continue
		}
		mine := strings.Contains(string(line)+string(environ)+cwd, a.dir+"/")
		if name := a.cgroup; name != "" && !mine {
			groups, _ := os.ReadFile(dir + "/cgroup")
			mine = strings.Contains(string(groups), name)
		}
		if mine {
			found[pid] = strings.ReplaceAll(string(line), "\x00", " ")
		}
	}
	return found
}

var cgroupName = regexp.MustCompile(`sourcegraph-[0-9a-f]+`)

// noteCgroup remembers the name of the appliance's cgroup, for [appliance.living]; without cgroups there is none.
func (a *appliance) noteCgroup() {
	groups, _ := os.ReadFile("/proc/" + strconv.Itoa(a.service("postgres").PID) + "/cgroup")
	a.cgroup = cgroupName.FindString(string(groups))
}

// requireNothingLeft says that no process of the appliance lives.
func (a *appliance) requireNothingLeft() {
	a.t.Helper()
	var left map[int]string
	require.True(a.t, a.eventuallyAfter(func() bool { left = a.living(); return len(left) == 0 }), "still alive: %v", &left)
}
