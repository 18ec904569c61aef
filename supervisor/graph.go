package supervisor

import (
	"time"

	"github.com/sourcegraph/appliance/services"
)

// graph is who needs whom, by instance names. A plan's graph has no cycle: roster refuses one.
type graph struct {
	insts      map[string]services.Instance
	names      []string // in the plan's order
	dependents map[string][]string
}

func newGraph(insts []services.Instance) graph {
	g := graph{insts: map[string]services.Instance{}, dependents: map[string][]string{}}
	for _, i := range insts {
		g.insts[i.Name()] = i
		g.names = append(g.names, i.Name())
		for _, need := range i.Needs {
			g.dependents[need] = append(g.dependents[need], i.Name())
		}
	}
	return g
}

func (s *Supervisor) graph() graph { return newGraph(s.instances()) }

// withNeeds is the instances after all that they need.
func (g graph) withNeeds(names []string) []string {
	return closure(names, func(name string) []string { return g.insts[name].Needs })
}

// withDependents is the instances after all that needs them: the order of a stop.
func (g graph) withDependents(names []string) []string {
	return closure(names, func(name string) []string { return g.dependents[name] })
}

func closure(names []string, next func(string) []string) (out []string) {
	seen := map[string]bool{}
	var walk func(string)
	walk = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, n := range next(name) {
			walk(n)
		}
		out = append(out, name)
	}
	for _, name := range names {
		walk(name)
	}
	return out
}

// longest is the greatest sum of a cost along any chain of needs.
func (g graph) longest(cost func(services.Instance) time.Duration) time.Duration {
	done := map[string]time.Duration{}
	var walk func(string) time.Duration
	walk = func(name string) time.Duration {
		if d, ok := done[name]; ok {
			return d
		}
		below := time.Duration(0)
		for _, need := range g.insts[name].Needs {
			below = max(below, walk(need))
		}
		done[name] = below + cost(g.insts[name])
		return done[name]
	}
	most := time.Duration(0)
	for _, name := range g.names {
		most = max(most, walk(name))
	}
	return most
}
