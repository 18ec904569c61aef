package main

import (
	"fmt"
	"syscall"
	"time"
)

// restartSettled is how long a service must have run to be started again without back-off: ours and runit say 1 s.
const restartSettled = 1200 * time.Millisecond

// restartFigure kills each of 30 services in turn.
func restartFigure(b *bench) ([]row, error) {
	cs := append([]contestant{ours(), floored()}, peers()...)
	services := independent(30)
	ps, err := b.warmAll(cs, services)
	if err != nil {
		return nil, err
	}
	s := newSamples()
	for range b.rounds {
		for _, p := range ps {
			if err := b.killEach(p, services, s); err != nil {
				return nil, err
			}
		}
	}
	var rows []row
	for _, q := range []struct {
		name    string
		at, mul float64
	}{{"p50", 0.5, 1.3}, {"p99", 0.99, 2}} {
		limit := q.mul * s.quantile("floor", q.at)
		rows = append(rows, row{title: fmt.Sprintf("kill -9 → new process runs, %s of %d", q.name, len(s.values[us])), unit: "ms", cells: s.cells(q.at), atMost: true,
			limit: limit, target: fmt.Sprintf("≤ %.1f × floor = %s", q.mul, short(limit))})
	}
	return rows, nil
}

func (b *bench) killEach(p prepared, services []service, s *samples) error {
	r, got, err := b.up(p.contestant, p.dir, p.argv, len(services))
	if err != nil {
		return err
	}
	defer r.stop()
	time.Sleep(restartSettled)
	if p.name == "supervisord" {
		services = services[:3] // it takes seconds for each, and thirty would say no more
	}
	for _, svc := range services {
		took, _, err := b.killOne(got[svc.name])
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		s.add(p.name, took)
	}
	return nil
}

// killOne is from kill to the first instruction of the next process, in ms.
func (b *bench) killOne(st stamp) (took float64, next stamp, err error) {
	at := now()
	if err := syscall.Kill(st.pid, syscall.SIGKILL); err != nil {
		return 0, next, fmt.Errorf("kill %s: %w", st.name, err)
	}
	next, err = b.stamps.next(st.name, "start")
	time.Sleep(20 * time.Millisecond) // let both settle: the question is one restart, not thirty
	return ms(next.at - at), next, err
}
