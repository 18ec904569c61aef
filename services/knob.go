package services

import (
	"math"
	"strconv"
)

// value is what the knob is set to under a budget, empty when the budget leaves the resource without a bound.
func (k Knob) value(b Budget) string {
	switch {
	case k.Of == OfMemory && b.Memory > 0:
		return strconv.FormatInt(b.Memory*int64(k.Percent)/100>>20, 10) + "MiB"
	case k.Of == OfCPUs && b.CPUs > 0:
		return strconv.Itoa(max(1, int(math.Ceil(b.CPUs*float64(k.Percent)/100))))
	}
	return ""
}

// goKnobs are those of every Go program. Sourcegraph's images set neither.
//
// GOMEMLIMIT exists since Go 1.19, which no program of 3.38 is built with; nine tenths leave room for what the runtime does not count.
// src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453 and helm: values.yaml set none; Go: "A Guide to the Go Garbage Collector"
func goKnobs(more ...Knob) []Knob {
	return append([]Knob{{
		Name: "GOMEMLIMIT", Of: OfMemory, Percent: 90, Auto: true, In: []Releases{{sourcegraph, "5.0", ""}, {demo, "", ""}},
		Why: "the collector works harder before the kernel kills. src: Go: A Guide to the Go Garbage Collector",
	}, {
		Name: "GOMAXPROCS", Of: OfCPUs, Percent: 100, Auto: true,
		Why: "programs built before Go 1.25 see all CPUs of the machine. src: Go 1.25 release notes",
	}}, more...)
}
