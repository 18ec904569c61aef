package cgroup

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMountsOfAHybridHostAndOfAContainer(t *testing.T) {
	got := mounts(`24 29 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw
31 24 0:28 / /sys/fs/cgroup ro,nosuid shared:8 - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
50 31 0:30 /docker/0a1b /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory
51 31 0:31 / /mnt/odd\040place rw - cgroup cgroup rw,pids
52 31 0:31 / /mnt/odd\040place rw - cgroup cgroup ro,freezer
nonsense
`)
	require.Equal(t, []mount{
		{root: "/", dir: "/sys/fs/cgroup/cpu,cpuacct", controllers: []string{"rw", "cpu", "cpuacct"}},
		{root: "/", dir: "/sys/fs/cgroup/unified", unified: true, controllers: []string{"rw", "nsdelegate"}},
		{root: "/docker/0a1b", dir: "/sys/fs/cgroup/memory", readOnly: true, controllers: []string{"rw", "memory"}},
		{root: "/", dir: "/mnt/odd place", readOnly: true, controllers: []string{"ro", "freezer"}},
	}, got)
}

func TestDirectoryOfAProcess(t *testing.T) {
	in := memberships("9:name=systemd:/user\n4:memory:/docker/0a1b/inner\n2:cpu,cpuacct:/../beside\n0::/user.slice/a:b\n")
	for name, tc := range map[string]struct {
		mount mount
		want  string // empty: not visible
	}{
		"below the mounted part": {mount{root: "/docker/0a1b", dir: "/m", controllers: []string{"rw", "memory"}}, "/m/inner"},
		"beside it":              {mount{root: "/docker/other", dir: "/m", controllers: []string{"rw", "memory"}}, ""},
		"outside our namespace":  {mount{root: "/", dir: "/m", controllers: []string{"rw", "cpuacct"}}, ""},
		"cgroup2 with a colon":   {mount{root: "/", dir: "/m", unified: true}, "/m/user.slice/a:b"},
		"no such hierarchy":      {mount{root: "/", dir: "/m", controllers: []string{"rw", "pids"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := tc.mount.dirOf(in)
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.want != "", ok)
		})
	}
}

func TestGroupNames(t *testing.T) {
	for name, want := range map[string]bool{
		"frontend-0.1": true, "zoekt-webserver-12.345": true, "supervisor": false, "frontend": false, "frontend-0": false,
		"frontend.1": false, "frontend-x.1": false, "frontend-0.": false, "-0.1": false, "a/b-0.1": false, "sourcegraph-0a1b2c3d4e5f": false,
		"frontend-0.+1": false,
	} {
		require.Equal(t, want, isGroup(name), name)
	}
}

func TestNameIsOfTheDirectoryNotOfItsPath(t *testing.T) {
	dir := t.TempDir()
	one, err := NameFor("appliance", dir)
	require.NoError(t, err)
	require.Regexp(t, `^appliance-[0-9a-f]{12}$`, one)
	same, err := NameFor("appliance", dir+"/../"+dir[len(dir)-3:])
	require.NoError(t, err)
	require.Equal(t, one, same)
	other, err := NameFor("appliance", t.TempDir())
	require.NoError(t, err)
	require.NotEqual(t, one, other)
	_, err = NameFor("appliance", dir+"/absent")
	require.ErrorContains(t, err, "identify data directory")
}

func TestBudgetInTheKernelsWords(t *testing.T) {
	values := func(knobs []knob) map[string]string {
		set := map[string]string{}
		for _, k := range knobs {
			set[k.file] = k.value
		}
		return set
	}
	b := Budget{Memory: 1 << 30, MemoryLow: 1 << 20, CPUs: 1.5, CPUWeight: 50, Pids: 100}
	require.Equal(t, map[string]string{
		"memory.max": "1073741824", "memory.low": "1048576", "cpu.max": "150000 100000", "cpu.weight": "50", "pids.max": "100",
	}, values(b.v2()))
	require.Equal(t, map[string]string{
		"memory.limit_in_bytes": "1073741824", "cpu.cfs_quota_us": "150000", "cpu.shares": "512", "pids.max": "100",
	}, values(b.v1()))
	require.Equal(t, map[string]string{
		"memory.max": "max", "memory.low": "0", "cpu.max": "max 100000", "cpu.weight": "100", "pids.max": "max",
	}, values(Budget{}.v2()))
	require.Equal(t, map[string]string{
		"memory.limit_in_bytes": "-1", "cpu.cfs_quota_us": "-1", "cpu.shares": "1024", "pids.max": "max",
	}, values(Budget{}.v1()))
	tiny := Budget{CPUs: 0.001, CPUWeight: 99_999}
	require.Equal(t, "1000 100000", values(tiny.v2())["cpu.max"])
	require.Equal(t, "10000", values(tiny.v2())["cpu.weight"])
	require.Equal(t, "102400", values(tiny.v1())["cpu.shares"])
}
