package main

import "fmt"

// service is one that all contestants run.
type service struct {
	name  string
	args  []string // of the tiny program, behind its name and socket
	ready string   // "", "notify" or "http"
	needs []string
	port  int
	pids  int // 0: the default
	keep  int // rotated log files; 0: the default
}

func (b *bench) argv(s service) []string {
	return append([]string{b.tiny, s.name, b.stamps.path}, s.args...)
}

func independent(n int, args ...string) []service {
	var out []service
	for i := range n {
		out = append(out, service{name: fmt.Sprintf("s%03d", i), args: args})
	}
	return out
}

// chain is n services, each of which needs the one before.
func chain(n int, args ...string) []service {
	out := independent(n, append([]string{"ready=notify"}, args...)...)
	for i := range out {
		out[i].ready = "notify"
		if i > 0 {
			out[i].needs = []string{out[i-1].name}
		}
	}
	return out
}

// diamond is one service that the middle ones need, and one that needs all of those.
func diamond(n int, args ...string) []service {
	out := chain(n, args...)
	last := &out[n-1]
	last.needs = nil
	for i := 1; i < n-1; i++ {
		out[i].needs = []string{out[0].name}
		last.needs = append(last.needs, out[i].name)
	}
	return out
}
