package main

import "fmt"

// prepared is a contestant whose directory has seen one start.
type prepared struct {
	contestant
	dir  string
	argv []string
}

// warm writes everything down and starts it once.
func (b *bench) warm(c contestant, services []service) (prepared, error) {
	dir, err := b.place(c.name)
	if err != nil {
		return prepared{}, err
	}
	argv, err := c.setUp(b, dir, services)
	if err != nil {
		return prepared{}, err
	}
	r, _, err := b.up(c, dir, argv, len(services))
	if err != nil {
		return prepared{}, err
	}
	r.stop()
	return prepared{c, dir, argv}, nil
}

func (b *bench) warmAll(cs []contestant, services []service) ([]prepared, error) {
	var out []prepared
	for _, c := range cs {
		p, err := b.warm(c, services)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// timeStart is from exec to the first instruction of the last service, in ms.
func (b *bench) timeStart(p prepared, n int) (float64, error) {
	r, got, err := b.up(p.contestant, p.dir, p.argv, n)
	if err != nil {
		return 0, err
	}
	r.stop()
	return ms(latest(got) - r.began), nil
}

func startFigure(b *bench) ([]row, error) {
	var rows []row
	for _, n := range []int{30, 300} {
		s, err := b.startSamples(append([]contestant{ours(), floored()}, peers()...), independent(n), n)
		if err != nil {
			return rows, err
		}
		r := row{title: fmt.Sprintf("exec → all up, %d independent services", n), unit: "ms", cells: s.cells(0.5), atMost: true}
		if floor := s.median("floor"); n == 30 {
			r.limit, r.target = floor+10, fmt.Sprintf("≤ floor + 10 ms = %s", short(floor+10))
		} else {
			r.limit, r.target = 1.75*floor, fmt.Sprintf("≤ 1.75 × floor = %s", short(1.75*floor))
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func (b *bench) startSamples(cs []contestant, services []service, n int) (*samples, error) {
	ps, err := b.warmAll(cs, services)
	if err != nil {
		return nil, err
	}
	s := newSamples()
	for range b.rounds {
		for _, p := range ps {
			v, err := b.timeStart(p, n)
			if err != nil {
				return nil, err
			}
			s.add(p.name, v)
		}
	}
	return s, nil
}

// orderFigure compares with the floor that knows no order.
func orderFigure(b *bench) ([]row, error) {
	var rows []row
	for _, shape := range []struct {
		name     string
		services []service
		factor   float64
	}{{"chain", chain(30), 2.2}, {"diamond", diamond(30), 1.4}} {
		ps, err := b.warmAll([]contestant{ours()}, shape.services)
		if err != nil {
			return rows, err
		}
		flat, err := b.warm(floored(), independent(30))
		if err != nil {
			return rows, err
		}
		s := newSamples()
		for range b.rounds {
			for _, p := range append(ps, flat) {
				v, err := b.timeStart(p, 30)
				if err != nil {
					return rows, err
				}
				s.add(p.name, v)
			}
		}
		limit := shape.factor * s.median("floor")
		rows = append(rows, row{title: shape.name + " of 30 with readiness (the floor: without order)", unit: "ms", cells: s.cells(0.5), atMost: true,
			limit: limit, target: fmt.Sprintf("≤ %.1f × floor = %s", shape.factor, short(limit))})
	}
	return rows, nil
}
