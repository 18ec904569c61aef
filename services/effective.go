package services

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Selection is which services a plan has and what the site says of them.
type Selection struct {
	Registry   Registry // nil: [All]
	Product    string   // demo, sourcegraph, none
	Version    string
	Overrides  map[string]Override // by name of a built-in service
	DropIns    []Definition        // the site's own
	External   External            // what runs elsewhere
	Outside    Outside             // how to reach what is not on this machine
	Surround   map[string]Override // what the appliance's own environment says, by name of a built-in service; see [FromEnvironment]
	Absent     map[string]bool     // spare services whose program the release lacks: off unless the site turns them on
	SiteConfig SiteConfig          // of the product
}

// Effective is a definition with everything that was said of it.
type Effective struct {
	Definition
	Count    int   // replicas
	Retired  []int // numbers of those that are no more and whose data may lie unused
	Disabled bool
	Command0 bool // the site names the program
}

// Effective applies the site's overrides, and checks the whole: names, needs, circles, replicas. All faults are in the error.
func (s Selection) Effective() ([]Effective, error) {
	registry := s.Registry
	if registry == nil {
		registry = All()
	}
	built := registry.Of(s.Product, s.Version)
	out := make([]Effective, 0, len(built)+len(s.DropIns))
	var faults []error
	faults = append(faults, s.External.Validate())
	for _, d := range s.External.apply(built, s.Product, s.Version) {
		o := s.Overrides[d.Name]
		e, err := s.effective(o.apply(s.Surround[d.Name].apply(s.SiteConfig.apply(s.Outside.apply(d)))), o)
		faults = append(faults, err, checkPorts(d, o), checkElsewhere(d, o))
		out = append(out, e)
	}
	for _, d := range s.DropIns {
		if IsBuiltIn(d.Name) {
			faults = append(faults, fmt.Errorf("%s: %s is a built-in service; change it under services.%s in appliance.yaml", d.Origin, d.Name, d.Name))
			continue
		}
		if i := slices.IndexFunc(out, func(e Effective) bool { return e.Name == d.Name }); i >= 0 {
			faults = append(faults, fmt.Errorf("%s: service %s is already defined in %s", d.Origin, d.Name, out[i].Origin))
			continue
		}
		o := s.Overrides[d.Name]
		e, err := s.effective(o.apply(d), o)
		faults = append(faults, err)
		out = append(out, e)
	}
	faults = append(faults, follow(out, s.Overrides)...)
	faults = append(faults, checkRetired(out)...)
	faults = append(faults, unknownOverrides(s.Overrides, out)...)
	faults = append(faults, checkNeeds(out)...)
	return out, errors.Join(faults...)
}

func (s Selection) effective(d Definition, o Override) (Effective, error) {
	off := d.Optional != "" || d.Spare && s.Absent[d.Name]
	e := Effective{Definition: d, Count: 1, Retired: o.Retired, Disabled: off, Command0: o.Command != nil || len(d.Releases) == 0}
	setTo(&e.Count, o.Replicas)
	setTo(&e.Disabled, o.Disabled)
	if e.Count < 1 || e.Count > max(1, d.Replicas.Max) {
		why := ""
		if d.Replicas.Once != "" {
			why = ": " + d.Replicas.Once
		}
		return e, fmt.Errorf("services.%s.replicas: %d is outside 1..%d%s", d.Name, e.Count, max(1, d.Replicas.Max), why)
	}
	return e, nil
}

// follow gives a service that belongs to another as many replicas as that has. It refuses another wish of the site.
func follow(list []Effective, overrides map[string]Override) []error {
	var faults []error
	for i := range list {
		e := &list[i]
		lead := slices.IndexFunc(list, func(other Effective) bool { return other.Name == e.Replicas.With })
		if lead < 0 {
			continue
		}
		if wish := overrides[e.Name].Replicas; wish != nil && *wish != list[lead].Count {
			faults = append(faults, fmt.Errorf("services.%s.replicas: %d, but it has as many as %s, %d: set services.%s.replicas",
				e.Name, *wish, list[lead].Name, list[lead].Count, list[lead].Name))
		}
		e.Count = list[lead].Count
	}
	return faults
}

// checkRetired refuses what would be forgotten and then hold for a later, lower number of replicas as well.
func checkRetired(list []Effective) (faults []error) {
	for _, e := range list {
		for _, n := range e.Retired {
			if n < e.Count {
				faults = append(faults, fmt.Errorf("services.%s.retired: %d is the number of a replica that runs: take it off the list", e.Name, n))
			}
		}
	}
	return faults
}

// checkPorts refuses a port that a built-in service does not have, or cannot move.
func checkPorts(d Definition, o Override) error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(o.Ports)) {
		i := slices.IndexFunc(d.Ports, func(p Port) bool { return p.Name == name })
		switch {
		case i < 0:
			faults = append(faults, fmt.Errorf("services.%s.ports: there is no port %q; there are: %s", d.Name, name, strings.Join(portNames(d.Ports), ", ")))
		case d.Ports[i].Fixed && o.Ports[name] != d.Ports[i].Number:
			faults = append(faults, fmt.Errorf("services.%s.ports.%s: this version offers no way to set it; it is %d", d.Name, name, d.Ports[i].Number))
		}
	}
	return errors.Join(faults...)
}

func unknownOverrides(overrides map[string]Override, known []Effective) []error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(overrides)) {
		if slices.ContainsFunc(known, func(e Effective) bool { return e.Name == name }) {
			continue
		}
		if !IsBuiltIn(name) { // else in another release: kept for it
			faults = append(faults, fmt.Errorf("services.%s: this release has no such service; it has %s", name, strings.Join(effectiveNames(known), ", ")))
		}
	}
	return faults
}

func effectiveNames(list []Effective) []string {
	var names []string
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names
}

// checkNeeds refuses needs that can never be met, and circles. A wish for a service that is not there is none: wants are order only.
func checkNeeds(list []Effective) []error {
	byName := map[string]Effective{}
	for _, e := range list {
		byName[e.Name] = e
	}
	var faults []error
	for _, e := range list {
		for _, need := range e.Needs {
			other, ok := byName[need]
			switch {
			case !ok:
				faults = append(faults, fmt.Errorf("%s needs %s, which is not defined; there are %s", e.Name, need, strings.Join(effectiveNames(list), ", ")))
			case other.Disabled && !e.Disabled:
				faults = append(faults, fmt.Errorf("%s needs %s, which is disabled; disable both, or set services.%s.needs", e.Name, need, e.Name))
			}
		}
	}
	after := func(name string) []string {
		e := byName[name]
		return slices.DeleteFunc(slices.Concat(e.Needs, e.Wants), func(n string) bool { _, ok := byName[n]; return !ok })
	}
	if c := findCycle(effectiveNames(list), after); c != nil {
		faults = append(faults, c)
	}
	return faults
}
