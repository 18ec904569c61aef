package main

import (
	"fmt"
	"time"
)

// stopFigure stops 30 services that take 50 ms each, in order: what others need goes last.
func stopFigure(b *bench) ([]row, error) {
	var rows []row
	for _, shape := range []struct {
		name     string
		services []service
		peers    []contestant
		ideal    float64 // ms
	}{
		{"flat", independent(30, "stop=50ms"), append([]contestant{floored()}, peers()...), 50},
		{"chain", chain(30, "stop=50ms"), nil, 1500},
		{"diamond", diamond(30, "stop=50ms"), nil, 150},
	} {
		ps, err := b.warmAll(append([]contestant{ours()}, shape.peers...), shape.services)
		if err != nil {
			return rows, err
		}
		s := newSamples()
		for range b.rounds {
			for _, p := range ps {
				v, err := b.timeStop(p, 30)
				if err != nil {
					return rows, err
				}
				s.add(p.name, v)
			}
		}
		rows = append(rows, row{title: "stop of 30 services of 50 ms each, " + shape.name, unit: "ms", cells: s.cells(0.5), atMost: true,
			limit: shape.ideal + 10, target: fmt.Sprintf("≤ %.0f + 10 ms", shape.ideal)})
	}
	return rows, nil
}

// timeStop is from the signal to the end of the supervisor, or of the last service if that is later, in ms.
func (b *bench) timeStop(p prepared, n int) (float64, error) {
	r, _, err := b.up(p.contestant, p.dir, p.argv, n)
	if err != nil {
		return 0, err
	}
	time.Sleep(300 * time.Millisecond) // all have their handlers, and nothing is left of the start
	at := now()
	if err := r.cmd.Process.Signal(r.signal); err != nil {
		r.stop()
		return 0, err
	}
	ended := make(chan int64, 1)
	go func() {
		err := <-r.ended
		ended <- now()
		r.ended <- err
	}()
	got, err := b.stamps.collect("end", n)
	if err != nil {
		r.stop()
		return 0, fmt.Errorf("%s: %w", p.name, err)
	}
	last := max(latest(got), <-ended)
	r.stop()
	return ms(last - at), nil
}
