package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

func servicesCommand() *cli.Command {
	release := &cli.StringFlag{Name: "release-version", Usage: "as in `VERSION`, such as 6.4 or demo-1.0.0; without it the built-in definitions, with their versions"}
	return &cli.Command{
		Name: "services", HideHelpCommand: true, Category: "without an appliance",
		Usage: "definitions of services, the site's own included; works with nothing running",
		Subcommands: []*cli.Command{{
			Name: "list", Usage: "all of them, with what users lose", Flags: []cli.Flag{release}, Action: listServices,
		}, {
			Name: "show", ArgsUsage: "SERVICE", Usage: "one of them", Flags: []cli.Flag{release}, Action: showService,
		}, {
			Name: "graph", Usage: "what needs what",
			Flags:  []cli.Flag{release, &cli.StringFlag{Name: "format", Value: "text", Usage: "text, dot or mermaid"}},
			Action: graphServices,
		}},
	}
}

// definitions are those of a version, or all that there are.
func definitions(c *cli.Context) ([]services.Definition, error) {
	p, err := where(saidPlaces(c))
	if err != nil {
		return nil, usage("%v", err)
	}
	product, version := productOf(c.String("release-version"))
	var defs []services.Definition
	if version == "" {
		product, defs = "none", services.All()
	} else if len(services.Of(product, version)) == 0 {
		return nil, usage("no service is defined for %s %s; products are %s", product, version, strings.Join(services.Products(), ", "))
	}
	found, err := roster.Definitions(p.Config, product, version)
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		if !slices.ContainsFunc(defs, func(d services.Definition) bool { return d.Name == e.Name }) {
			defs = append(defs, e.Definition)
		}
	}
	return defs, nil
}

// productOf splits demo-1.0.0; a version alone is Sourcegraph's.
func productOf(text string) (product, version string) {
	for _, p := range services.Products() {
		if v, ok := strings.CutPrefix(text, p+"-"); ok {
			return p, v
		}
	}
	return "sourcegraph", text
}

// definitionDocument is a definition in JSON.
type definitionDocument struct {
	Name     string            `json:"name"`
	Kind     string            `json:"kind"`
	Versions []string          `json:"versions"`
	Loss     string            `json:"loss"`
	Command  []string          `json:"command"`
	Env      map[string]string `json:"env"`
	Ports    map[string]int    `json:"ports"`
	Needs    []string          `json:"needs"`
	Wants    []string          `json:"wants"`
	Data     map[string]string `json:"data"`
	Stop     string            `json:"stop"`
	Grace    string            `json:"grace"`
	Memory   int64             `json:"memory_bytes"`
	Optional string            `json:"optional"` // why it is off by default
	Origin   string            `json:"origin"`
}

func documentOf(d services.Definition) definitionDocument {
	out := definitionDocument{
		Name: d.Name, Kind: string(d.Kind), Versions: []string{}, Loss: d.Loss, Command: d.Command, Env: d.Env, Ports: map[string]int{},
		Needs: append([]string{}, d.Needs...), Wants: append([]string{}, d.Wants...), Data: map[string]string{},
		Stop: services.SignalName(d.Stop.Signal), Grace: d.Stop.Grace.String(), Memory: d.Budget.Memory, Optional: d.Optional, Origin: d.Origin,
	}
	for _, r := range d.Releases {
		out.Versions = append(out.Versions, r.String())
	}
	for _, p := range d.Ports {
		out.Ports[p.Name] = p.Number
	}
	for _, x := range d.Data {
		out.Data[x.Name] = x.Path
	}
	return out
}

func listServices(c *cli.Context) error {
	defs, err := definitions(c)
	if err != nil {
		return err
	}
	s := screenOf(c)
	if s.json {
		docs := []definitionDocument{}
		for _, d := range defs {
			docs = append(docs, documentOf(d))
		}
		return s.document(docs)
	}
	rows := [][]cell{heading("SERVICE", "KIND", "PORTS", "NEEDS", "WHILE IT IS DOWN")}
	for _, d := range defs {
		rows = append(rows, []cell{{d.Name, bold}, {string(d.Kind), ""}, {portList(d), ""}, {strings.Join(d.Needs, " "), ""}, {d.Loss, ""}})
	}
	s.table(rows)
	return nil
}

func portList(d services.Definition) string {
	var out []string
	for _, p := range d.Ports {
		out = append(out, fmt.Sprint(p.Number))
	}
	return strings.Join(out, " ")
}

func showService(c *cli.Context) error {
	if c.NArg() != 1 {
		return usage("services show needs exactly one SERVICE; see: sourcegraph services list")
	}
	defs, err := definitions(c)
	if err != nil {
		return err
	}
	var names []string
	for _, d := range defs {
		if d.Name == c.Args().First() {
			s := screenOf(c)
			if s.json {
				return s.document(documentOf(d))
			}
			s.showDefinition(documentOf(d))
			return nil
		}
		names = append(names, d.Name)
	}
	hint := "use one of: " + strings.Join(names, " ")
	if near := keys.Nearest(c.Args().First(), names); near != "" {
		hint = "did you mean: " + near
	}
	return usageError{fmt.Sprintf("there is no service %q", c.Args().First()), hint}
}

func (s *screen) showDefinition(d definitionDocument) {
	line := func(name, value string) {
		if value != "" {
			s.print("%s %s\n", s.paint(grey, fmt.Sprintf("%-10s", name)), value)
		}
	}
	line("name", d.Name)
	line("kind", d.Kind)
	line("versions", strings.Join(d.Versions, ", "))
	line("loss", d.Loss)
	line("command", strings.Join(d.Command, " "))
	if d.Optional != "" {
		line("off", d.Optional+"; to turn it on: services."+d.Name+".disabled: false")
	}
	line("needs", strings.Join(d.Needs, " "))
	line("wants", strings.Join(d.Wants, " "))
	for _, name := range sortedKeys(d.Ports) {
		line("port", fmt.Sprintf("%s %d", name, d.Ports[name]))
	}
	for _, name := range sortedKeys(d.Data) {
		line("data", name+" "+d.Data[name])
	}
	line("stop", d.Stop+", then KILL after "+d.Grace)
	if d.Memory > 0 {
		line("memory", size(d.Memory))
	}
	line("origin", d.Origin)
	for _, name := range sortedKeys(d.Env) {
		line("env", name+"="+d.Env[name])
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func graphServices(c *cli.Context) error {
	defs, err := definitions(c)
	if err != nil {
		return err
	}
	drawing, err := services.Graph(defs, c.String("format"))
	if err != nil {
		return usage("%v", err)
	}
	s := screenOf(c)
	if s.json {
		needs := map[string][]string{}
		for _, d := range defs {
			needs[d.Name] = append([]string{}, d.Needs...)
		}
		return s.document(needs)
	}
	s.print("%s", drawing)
	return nil
}
