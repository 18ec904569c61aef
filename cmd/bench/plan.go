package main

import (
	"fmt"
	"os/exec"
	"strings"
)

// planFigure takes two benchmarks of the packages: the plan of the largest family, and a reload's reading of files that nobody has changed.
func planFigure(b *bench) ([]row, error) {
	took, garbage, unchanged := newSamples(), newSamples(), newSamples()
	for range min(b.rounds, 3) {
		out, err := exec.Command(b.goTool, "test", "-run", "^$", "-bench", "^(BenchmarkBuild|BenchmarkLoadUnchanged)$", "-benchmem", "./services", "./supervisor/roster").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("run the benchmarks: %w: %s", err, out)
		}
		for line := range strings.Lines(string(out)) {
			var name string
			var times int
			var ns, bytes float64
			if n, _ := fmt.Sscanf(line, "%s %d %f ns/op %f B/op", &name, &times, &ns, &bytes); n < 4 {
				continue
			}
			if strings.HasPrefix(name, "BenchmarkBuild") {
				took.add(us, ns/1e6)
				garbage.add(us, bytes/1e6)
			} else {
				unchanged.add(us, ns/1e6)
			}
		}
	}
	return []row{
		{title: "plan of the largest family, everything optional on", unit: "ms", cells: took.cells(0.5), atMost: true, limit: 2, target: "≤ 2 ms"},
		{title: "its garbage", unit: "MB", cells: garbage.cells(0.5), atMost: true, limit: 1, target: "≤ 1 MB"},
		{title: "configuration read again, unchanged", unit: "ms", cells: unchanged.cells(0.5), atMost: true, limit: 5, target: "≤ 5 ms"},
	}, nil
}
