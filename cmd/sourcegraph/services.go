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
		}, scrapeConfigCommand(release), {
			Name: "alert-rules", Usage: "rules about the appliance and its services, for a Prometheus of your own", Action: alertRules,
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
		rows = append(rows, []cell{{d.Name, bold}, {kindOf(d), ""}, {portList(d), ""}, {strings.Join(d.Needs, " "), ""}, {d.Loss, ""}})
	}
	s.table(rows)
	return nil
}

// kindOf says beside the kind whether a service is off by itself; show says why.
func kindOf(d services.Definition) string {
	if d.Optional != "" {
		return string(d.Kind) + ", off"
	}
	return string(d.Kind)
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
	openText := map[string]string{
		string(services.BindSwitch): "on loopback by " + string(services.BindSwitch), string(services.BindAll): "open to all interfaces: nothing can bind it",
	}
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
		line("port", strings.TrimRight(fmt.Sprintf("%s %d  %s", name, d.Ports[name], openText[d.Open[name]]), " "))
	}
	for _, name := range sortedKeys(d.Data) {
		line("data", name+" "+d.Data[name])
	}
	line("ready", d.Ready)
	line("live", d.Live)
	line("metrics", d.Metrics)
	line("stop", d.Stop+", then KILL after "+d.Grace)
	if d.Memory > 0 {
		line("memory", size(d.Memory)+" at most, "+size(d.Floor)+" at least")
	}
	for _, knob := range d.Knobs {
		line("knob", knob)
	}
	line("replicas", "up to "+fmt.Sprint(d.Replicas))
	line("switch", d.Switch)
	line("snapshot", d.Snapshot)
	line("origin", d.Origin)
	for _, name := range sortedKeys(d.Env) {
		line("env", name+"="+d.Env[name])
	}
	for _, other := range sortedKeys(d.Beside) {
		for _, name := range sortedKeys(d.Beside[other]) {
			line("env", name+"="+d.Beside[other][name]+"  while "+other+" runs")
		}
	}
	for _, to := range d.Outbound {
		line("calls", strings.TrimSuffix(to.To+": "+to.What+"; to end it: "+to.Off+" ("+strings.Join(to.Versions, ", ")+")", " ()"))
	}
	for _, variant := range d.Variants {
		line("variant", variant)
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
