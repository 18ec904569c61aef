package services

import (
	"fmt"
	"slices"
	"strings"
)

// Cycle is a need that leads back to itself: a, b, c, a.
type Cycle []string

func (c Cycle) Error() string {
	return "services wait for each other in a circle: " + strings.Join(c, " → ")
}

// Hint says how to open the circle.
func (c Cycle) Hint() string {
	return fmt.Sprintf("take one of them out of the other's needs, for example services.%s.needs", c[0])
}

// findCycle returns a cycle in the graph, or nil. after names what a service comes after.
func findCycle(names []string, after func(string) []string) Cycle {
	const visiting, done = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(string) Cycle
	visit = func(name string) Cycle {
		switch state[name] {
		case done:
			return nil
		case visiting:
			start := slices.Index(path, name)
			return append(slices.Clone(Cycle(path[start:])), name)
		}
		state[name] = visiting
		path = append(path, name)
		for _, next := range after(name) {
			if c := visit(next); c != nil {
				return c
			}
		}
		path = path[:len(path)-1]
		state[name] = done
		return nil
	}
	for _, name := range names {
		if c := visit(name); c != nil {
			return c
		}
	}
	return nil
}

// Graph draws what needs (solid) and wants (dashed) what. A wish for what is not among them is none. The format is text, dot or mermaid.
func Graph(defs []Definition, format string) (string, error) {
	defs = slices.Clone(defs)
	for i, d := range defs {
		defs[i].Wants = slices.DeleteFunc(slices.Clone(d.Wants), func(want string) bool {
			return !slices.ContainsFunc(defs, func(other Definition) bool { return other.Name == want })
		})
	}
	switch format {
	case "", "text":
		return textGraph(defs), nil
	case "dot":
		return dotGraph(defs), nil
	case "mermaid":
		return mermaidGraph(defs), nil
	}
	return "", fmt.Errorf("graph format %q: use text, dot or mermaid", format)
}

// textGraph lists the services in levels: each comes after those of the levels above.
func textGraph(defs []Definition) string {
	level := map[string]int{}
	for range defs { // as many rounds as the longest path has edges
		for _, d := range defs {
			for _, need := range d.Needs {
				level[d.Name] = max(level[d.Name], min(level[need]+1, len(defs)))
			}
		}
	}
	sorted := slices.Clone(defs)
	slices.SortStableFunc(sorted, func(a, b Definition) int { return level[a.Name] - level[b.Name] })
	var out strings.Builder
	for _, d := range sorted {
		out.WriteString(strings.Repeat("  ", level[d.Name]) + d.Name)
		if len(d.Needs) > 0 {
			out.WriteString("  needs " + strings.Join(d.Needs, ", "))
		}
		if len(d.Wants) > 0 {
			out.WriteString("  after " + strings.Join(d.Wants, ", "))
		}
		out.WriteByte('\n')
	}
	return out.String()
}

func dotGraph(defs []Definition) string {
	var out strings.Builder
	out.WriteString("digraph services {\n\trankdir=BT;\n\tnode [shape=box];\n")
	for _, d := range defs {
		fmt.Fprintf(&out, "\t%q;\n", d.Name)
		for _, need := range d.Needs {
			fmt.Fprintf(&out, "\t%q -> %q;\n", d.Name, need)
		}
		for _, want := range d.Wants {
			fmt.Fprintf(&out, "\t%q -> %q [style=dashed];\n", d.Name, want)
		}
	}
	return out.String() + "}\n"
}

func mermaidGraph(defs []Definition) string {
	var out strings.Builder
	out.WriteString("graph BT\n")
	for _, d := range defs {
		fmt.Fprintf(&out, "  %s\n", d.Name)
		for _, need := range d.Needs {
			fmt.Fprintf(&out, "  %s --> %s\n", d.Name, need)
		}
		for _, want := range d.Wants {
			fmt.Fprintf(&out, "  %s -.-> %s\n", d.Name, want)
		}
	}
	return out.String()
}
