package services

import (
	"cmp"
	"slices"
)

// Scrape is one job of Prometheus: all instances of the services that are known by one name to dashboards and alerts.
type Scrape struct {
	Job, Path string
	Targets   []Target
}

// Target is one instance that shows metrics.
type Target struct{ Instance, Address string }

// scrapes lists what runs and has metrics, by job.
func (in Input) scrapes(list []Effective) []Scrape {
	var out []Scrape
	for _, e := range list {
		if e.Disabled || e.Metrics == nil || e.Kind == KindExternal {
			continue
		}
		job := cmp.Or(e.Metrics.Job, e.Name)
		i := slices.IndexFunc(out, func(s Scrape) bool { return s.Job == job && s.Path == e.Metrics.Path })
		if i < 0 {
			out = append(out, Scrape{Job: job, Path: e.Metrics.Path})
			i = len(out) - 1
		}
		for n := range e.Count {
			if address, ok := in.Addresses[AddressKey(e.Name, n, e.Metrics.Port)]; ok {
				name := Instance{Service: e.Name, Number: n, Replicas: e.Count}.Name()
				out[i].Targets = append(out[i].Targets, Target{name, address})
			}
		}
	}
	return out
}
