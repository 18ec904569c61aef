package services

import "testing"

// BenchmarkBuild makes the plan of the largest family, everything optional on: at most 2 ms and 1 MB of garbage.
func BenchmarkBuild(b *testing.B) {
	in := input(b, everythingOn("5.2.7"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Build(in); err != nil {
			b.Fatal(err)
		}
	}
}

// everythingOn turns on all that is off by itself.
func everythingOn(version string) Selection {
	s, on := Selection{Product: sourcegraph, Version: version, Overrides: map[string]Override{}}, false
	for _, d := range Of(sourcegraph, version) {
		if d.Optional != "" {
			s.Overrides[d.Name] = Override{Disabled: &on}
		}
	}
	return s
}
