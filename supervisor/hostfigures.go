package supervisor

import (
	"context"
	"runtime"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"
	"github.com/shirou/gopsutil/v3/process"

	"github.com/sourcegraph/appliance/supervisor/metrics"
)

// hostFigures is the machine as the kernel shows it, and how many of its parts could not be had.
func hostFigures(ctx context.Context, dataDir string) (h metrics.Host, faults int) {
	h.CPUs = runtime.NumCPU()
	if m, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		h.MemoryTotal, h.MemoryAvailable = m.Total, m.Available
	} else {
		faults++
	}
	if l, err := load.AvgWithContext(ctx); err == nil {
		h.Load = [3]float64{l.Load1, l.Load5, l.Load15}
	} else {
		faults++
	}
	if t, err := cpu.TimesWithContext(ctx, false); err == nil && len(t) == 1 {
		h.CPU = map[string]float64{
			"user": t[0].User, "nice": t[0].Nice, "system": t[0].System, "idle": t[0].Idle, "iowait": t[0].Iowait,
			"irq": t[0].Irq, "softirq": t[0].Softirq, "steal": t[0].Steal,
		}
	} else {
		faults++
	}
	if d, err := disk.UsageWithContext(ctx, dataDir); err == nil {
		h.Disk = &metrics.Disk{Total: d.Total, Available: d.Free, Inodes: d.InodesTotal, InodesFree: d.InodesFree}
	} else {
		faults++
	}
	return h, faults
}

// processFigures is what is known of one process: its descriptors, and where no cgroup counts for all of a run, the rest, too.
func processFigures(pid int, all bool) (u metrics.Use) {
	p := process.Process{Pid: int32(pid)}
	if n, err := p.NumFDs(); err == nil {
		u.FDs = int(n)
	}
	if !all {
		return u
	}
	var seconds float64
	u.Memory, seconds = processUse(pid)
	u.CPU, u.Processes = time.Duration(seconds*float64(time.Second)), 1
	if n, err := p.NumThreads(); err == nil {
		u.Tasks = int(n)
	}
	return u
}
