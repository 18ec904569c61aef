package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const orphanCount = 10_000

// orphansFigure has ten thousand orphans end at once, and a service killed in the middle of it.
func orphansFigure(b *bench) ([]row, error) {
	s, quiet, meanwhile := newSamples(), newSamples(), newSamples()
	for range b.rounds {
		for _, c := range []contestant{ours(), floored(), {"tini", setUpTini, syscall.SIGTERM}} {
			if err := b.orphanRound(c, s, quiet, meanwhile); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	limit := quiet.median(us) + 5
	return []row{
		{title: "10,000 orphans at once, until all are reaped", unit: "ms", cells: s.cells(0.5), atMost: true, limit: s.median("tini"), target: "≤ tini"},
		{title: "restart of a service meanwhile", unit: "ms", cells: meanwhile.cells(0.5), atMost: true, limit: limit, target: "≤ quiet + 5 ms = " + short(limit)},
	}, nil
}

// setUpTini runs the first of the services, which is all that tini can.
func setUpTini(b *bench, _ string, services []service) ([]string, error) {
	return append([]string{"tini", "-s", "--"}, b.argv(services[0])...), nil
}

func (b *bench) orphanRound(c contestant, s, quiet, meanwhile *samples) error {
	dir, err := b.place(c.name)
	if err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		return err
	}
	fifo, pids := filepath.Join(dir, "fifo"), filepath.Join(dir, "pids")
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		return err
	}
	if err := os.Chmod(fifo, 0o666); err != nil {
		return err
	}
	hold, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer hold.Close()
	maker := service{name: "maker", args: []string{"orphans=" + strconv.Itoa(orphanCount), "fifo=" + fifo, "pids=" + pids}, pids: 2 * orphanCount}
	argv, err := c.setUp(b, dir, []service{maker, {name: "victim"}})
	if err != nil {
		return err
	}
	b.stamps.drain()
	r, err := start(c, dir, argv)
	if err != nil {
		return err
	}
	defer r.stop()
	defer hold.Close() // before the stop, whatever happens: nothing of the ten thousand may stay
	victim, err := b.orphansReady(c)
	if err != nil {
		return fmt.Errorf("%w; it says: %s", err, r.lastWords())
	}
	time.Sleep(restartSettled)
	if victim.pid != 0 {
		took, next, err := b.killOne(victim)
		if err != nil {
			return err
		}
		quiet.add(c.name, took)
		victim = next
		time.Sleep(restartSettled)
	}
	return b.releaseOrphans(c, hold, pids, victim, s, meanwhile)
}

// orphanPatience is for making them: a fork takes some machines 10 ms.
const orphanPatience = 3 * time.Minute

// orphansReady waits for the orphans, and says who can be killed meanwhile: nobody under tini.
func (b *bench) orphansReady(c contestant) (victim stamp, err error) {
	timer := time.NewTimer(orphanPatience)
	defer timer.Stop()
	for made := false; !made || victim.pid == 0 && c.name != "tini"; {
		select {
		case st := <-b.stamps.ch:
			made = made || st.kind == "ready"
			if st.name == "victim" {
				victim = st
			}
		case <-timer.C:
			return victim, fmt.Errorf("no %d orphans within %s", orphanCount, orphanPatience)
		}
	}
	return victim, nil
}

func (b *bench) releaseOrphans(c contestant, hold *os.File, list string, victim stamp, s, meanwhile *samples) error {
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	var pids []int
	for line := range strings.Lines(string(text)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return err
		}
		pids = append(pids, pid)
	}
	at := now()
	hold.Close()
	killed := make(chan error, 1)
	go func() {
		if victim.pid == 0 {
			killed <- nil
			return
		}
		took, _, err := b.killOne(victim)
		meanwhile.add(c.name, took)
		killed <- err
	}()
	for _, pid := range pids {
		for !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			if now()-at > int64(patience) {
				return fmt.Errorf("orphan %d is not reaped after %s", pid, patience)
			}
			time.Sleep(500 * time.Microsecond)
		}
	}
	s.add(c.name, ms(now()-at))
	return <-killed
}
