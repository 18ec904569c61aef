package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// cpu is what processes used so far, by the kernel's nanosecond clock of each, which its user and system ticks are too coarse for.
func cpu(pids ...int) (time.Duration, error) {
	var sum int64
	for _, pid := range pids {
		var t unix.Timespec
		clock := int32(^pid<<3 | 2) // CPUCLOCK_SCHED of a process. Source: Linux include/linux/posix-timers_types.h
		if err := unix.ClockGettime(clock, &t); err != nil {
			return 0, fmt.Errorf("CPU clock of process %d: %w", pid, err)
		}
		sum += t.Nano()
	}
	return time.Duration(sum), nil
}

// idleFigure watches our three processes while nothing happens.
func idleFigure(b *bench) ([]row, error) {
	probed := independent(30)
	for i := range probed {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		probed[i].ready, probed[i].port, probed[i].args = "http", port, []string{fmt.Sprintf("http=%d", port)}
	}
	quiet, err := b.idle(independent(30))
	if err != nil {
		return nil, err
	}
	busy, err := b.idle(probed)
	if err != nil {
		return nil, err
	}
	return []row{
		{title: fmt.Sprintf("idle CPU, 30 services probed every 10 s (over %s)", b.window), unit: "% of one", cells: []cell{{us, 100 * busy.Seconds() / b.window.Seconds()}},
			atMost: true, limit: 0.2, target: "≤ 0.2 %"},
		{title: "idle CPU without probes, a minute", unit: "ms", cells: []cell{{us, 1e3 * quiet.Seconds() * 60 / b.window.Seconds()}}, atMost: true, limit: 5, target: "≤ 5 ms"},
	}, nil
}

func (b *bench) idle(services []service) (time.Duration, error) {
	p, err := b.warm(ours(), services)
	if err != nil {
		return 0, err
	}
	r, _, err := b.up(p.contestant, p.dir, p.argv, len(services))
	if err != nil {
		return 0, err
	}
	defer r.stop()
	time.Sleep(memorySettled)
	pids, err := r.own()
	if err != nil {
		return 0, err
	}
	before, err := cpu(pids...)
	if err != nil {
		return 0, err
	}
	time.Sleep(b.window)
	after, err := cpu(pids...)
	return after - before, err
}
