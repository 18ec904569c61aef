package supervisor

import "github.com/shirou/gopsutil/v3/process"

// processUse is the resident memory and CPU time of one process: what there is to know without a cgroup. Zero for one that is gone.
func processUse(pid int) (bytes int64, cpuSeconds float64) {
	p := process.Process{Pid: int32(pid)}
	if m, err := p.MemoryInfo(); err == nil {
		bytes = int64(m.RSS)
	}
	if t, err := p.Times(); err == nil {
		cpuSeconds = t.User + t.System
	}
	return bytes, cpuSeconds
}
