package main

import (
	"strings"

	"github.com/sourcegraph/appliance/services"
)

// definitionDocument is a definition in JSON.
type definitionDocument struct {
	Name     string                       `json:"name"`
	Kind     string                       `json:"kind"`
	Versions []string                     `json:"versions"`
	Loss     string                       `json:"loss"`
	Command  []string                     `json:"command"`
	Env      map[string]string            `json:"env"`
	Beside   map[string]map[string]string `json:"beside"` // variables by the service beside which they are set
	Ports    map[string]int               `json:"ports"`
	Open     map[string]string            `json:"open"` // why, by port: what no address of its own keeps on loopback
	Needs    []string                     `json:"needs"`
	Wants    []string                     `json:"wants"`
	Data     map[string]string            `json:"data"`
	Ready    string                       `json:"ready"`
	Live     string                       `json:"live"`
	Metrics  string                       `json:"metrics"`
	Stop     string                       `json:"stop"`
	Grace    string                       `json:"grace"`
	Memory   int64                        `json:"memory_bytes"`
	Floor    int64                        `json:"memory_floor_bytes"`
	Knobs    []string                     `json:"knobs"`
	Replicas int                          `json:"max_replicas"`
	Switch   string                       `json:"switch"`
	Snapshot string                       `json:"snapshot"`
	Optional string                       `json:"optional"` // why it is off by default
	Variants []string                     `json:"variants"` // differences between versions; none once a version is named
	Origin   string                       `json:"origin"`
	Outbound []destinationDocument        `json:"outbound"` // what it calls outside this machine
}

// destinationDocument is something outside this machine that a service calls.
type destinationDocument struct {
	To       string   `json:"to"`
	What     string   `json:"what"`
	Off      string   `json:"off"`      // what keeps it from doing so
	Versions []string `json:"versions"` // empty: all that the service is in, or the one that is asked for
}

func documentOf(d services.Definition) definitionDocument {
	out := definitionDocument{
		Name: d.Name, Kind: string(d.Kind), Versions: []string{}, Loss: d.Loss, Command: d.Command, Env: d.Env, Beside: d.Beside, Ports: map[string]int{},
		Open: map[string]string{}, Needs: append([]string{}, d.Needs...), Wants: append([]string{}, d.Wants...), Data: map[string]string{},
		Ready: d.Ready.Describe(d.Without.Ready), Live: d.Live.Describe(d.Without.Live), Metrics: d.Without.Metrics,
		Stop: services.SignalName(d.Stop.Signal), Grace: d.Stop.Grace.String(), Memory: d.Budget.Memory, Floor: d.Demand.Floor, Knobs: []string{},
		Replicas: max(1, d.Replicas.Max), Switch: string(d.Switch), Snapshot: string(d.Snapshot), Optional: d.Optional, Variants: []string{}, Origin: d.Origin,
		Outbound: []destinationDocument{},
	}
	if d.Metrics != nil {
		out.Metrics = "http " + d.Metrics.Path + " on " + d.Metrics.Port
	}
	out.Versions = append(out.Versions, rangesOf(d.Releases)...)
	for _, p := range d.Ports {
		out.Ports[p.Name] = p.Number
		if p.Bind != services.BindSet {
			out.Open[p.Name] = string(p.Bind)
		}
	}
	for _, x := range d.Data {
		out.Data[x.Name] = x.Path
	}
	for _, k := range d.Demand.Knobs {
		out.Knobs = append(out.Knobs, k.Name+" follows "+string(k.Of))
	}
	for _, v := range d.Variants {
		out.Variants = append(out.Variants, strings.Join(rangesOf(v.In), ", ")+": "+v.Why)
	}
	for _, to := range d.Outbound {
		out.Outbound = append(out.Outbound, destinationDocument{to.To, to.What, to.Off, rangesOf(to.In)})
	}
	return out
}

func rangesOf(in []services.Releases) []string {
	out := []string{}
	for _, r := range in {
		out = append(out, r.String())
	}
	return out
}
