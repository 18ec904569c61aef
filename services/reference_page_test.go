package services

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sourcegraph/appliance/limits"
)

// referencePage is REFERENCE.md.
func referencePage(all []Definition) string {
	var b strings.Builder
	b.WriteString("# Services\n\nMade from the definitions in this folder by `go test ./services -run Reference -update`; a test holds it. Versions are Sourcegraph's; `demo` is the demo release.\n" +
		"`sourcegraph services show NAME --release-version VERSION` says the same of one of them. Variables are in [ENVIRONMENT.md](ENVIRONMENT.md),\n" +
		"keys to change any of it in [../supervisor/roster/REFERENCE.md](../supervisor/roster/REFERENCE.md), the appliance's own metrics in\n[../supervisor/metrics/REFERENCE.md](../supervisor/metrics/REFERENCE.md).\n\n" +
		"[All](#all) · [Ports](#ports) · [Files and data](#files-and-data) · [Metrics](#metrics) · [Calls to the outside](#calls-to-the-outside) · [Alerts](#alerts) · [One by one](#one-by-one)\n\n## All\n")
	heads(&b, "service", "versions", "runs by itself", "while it is down")
	for _, d := range all {
		row(&b, "["+d.Name+"](#"+d.Name+")", existsIn(d), merged(spans(d, runs)), merged(spans(d, func(d Definition) string { return d.Loss })))
	}
	portsTable(&b, all)
	dataTable(&b, all)
	metricsTable(&b, all)
	outboundTable(&b, all)
	alertsTable(&b)
	b.WriteString("\n## One by one\n")
	for _, d := range all {
		oneByOne(&b, d)
	}
	return b.String()
}

func runs(d Definition) string {
	switch {
	case d.Optional != "":
		return "no"
	case d.Spare:
		return "if the release has it"
	}
	return "yes"
}

func portsTable(b *strings.Builder, all []Definition) {
	b.WriteString("\n## Ports\n\nThe number is taken at the first start if it is free, else one from 20000 on; `state/addresses` keeps it. Everything is on 127.0.0.1 unless it says otherwise.\n")
	heads(b, "service", "name", "number", "bound by")
	for _, d := range all {
		var names []string
		for _, from := range edges(d) {
			for _, p := range d.At(sourcegraph, from).Ports {
				if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+p.Name+" ") {
					names = append(names, p.Name)
				}
			}
		}
		for _, name := range names {
			ask := func(say func(Port) string) func(Definition) string {
				return func(d Definition) string {
					for _, p := range d.Ports {
						if p.Name == name {
							return say(p)
						}
					}
					return "not there"
				}
			}
			row(b, d.Name, name, merged(spans(d, ask(func(p Port) string { return fmt.Sprint(p.Number) }))), merged(spans(d, ask(boundBy))))
		}
	}
}

func boundBy(p Port) string {
	switch {
	case p.Bind == BindSwitch:
		return "the switch INSECURE_DEV; the number is fixed"
	case p.Bind == BindAll:
		return "**nothing: open to all interfaces**; the number is fixed"
	case p.Fixed:
		return "its address; the number is fixed"
	}
	return "its address"
}

func dataTable(b *strings.Builder, all []Definition) {
	b.WriteString("\n## Files and data\n\nDirectories lie below the data directory, 0700, owned by the service's user. *state* cannot be made again, *cache* can at a cost, *none* is scratch.\n" +
		"Every service has a home besides, `shared/home/<service>/<number>`, unless one is listed. Files are written before each start.\n")
	heads(b, "service", "path", "class", "its name is part of the data")
	for _, d := range all {
		for _, x := range d.Data {
			why := x.Identity
			if x.Of != "" {
				why = strings.TrimPrefix(why+"; the directory of "+x.Of, "; ")
			}
			row(b, d.Name, code(x.Path), string(x.Class), why)
		}
		for _, p := range d.Prepare {
			row(b, d.Name, code(p.Creates), "made once", "–")
		}
		for _, f := range d.Files {
			row(b, d.Name, code(f.Path), fmt.Sprintf("written, %04o", f.Mode), "–")
		}
	}
}

// outboundTable is every call that leaves the machine, for whoever opens a firewall.
func outboundTable(b *strings.Builder, all []Definition) {
	b.WriteString("\n## Calls to the outside\n\nAll that a service calls outside this machine. A variable is set while `offline` is true; a service without a line calls nobody. The appliance itself calls an authority for certificates\n" +
		"with `acme`, and the host of `url` to see whether it leads here, which `offline` ends.\n")
	heads(b, "service", "calls", "what for", "versions", "what ends it", "`offline` sets")
	for _, d := range all {
		for _, to := range d.Outbound {
			var in, sets []string
			for _, r := range to.In {
				in = append(in, versionRange(r.From, r.Until))
			}
			for _, name := range slices.Sorted(maps.Keys(to.Env)) {
				sets = append(sets, code(name+"="+to.Env[name]))
			}
			row(b, "["+d.Name+"](#"+d.Name+")", to.To, to.What, cmp.Or(strings.Join(in, ", "), strings.TrimSuffix(existsIn(d), ", "+demo)), to.Off, strings.Join(sets, ", "))
		}
	}
}

func metricsTable(b *strings.Builder, all []Definition) {
	b.WriteString("\n## Metrics\n\nWhat Prometheus scrapes; `sourcegraph services scrape-config` prints it for a Prometheus of the site's own.\n")
	heads(b, "service", "job", "port", "path")
	row(b, "the appliance itself", applianceJob, "metrics.listen", "/metrics")
	for _, d := range all {
		if d.Metrics == nil {
			row(b, d.Name, "–", "–", "none: "+d.Without.Metrics)
			continue
		}
		row(b, d.Name, d.Metrics.job(d.Name), d.Metrics.Port, d.Metrics.Path)
	}
}

func alertsTable(b *strings.Builder) {
	b.WriteString("\n## Alerts\n\nThe bundled Prometheus has them; `sourcegraph services alert-rules` prints them for a Prometheus of the site's own.\n")
	heads(b, "alert", "level", "after", "it means", "next", "expression")
	plain := strings.NewReplacer("{{ $labels.service }}", "SERVICE", "{{ $labels.replica }}", "N", "{{ $labels.cause }}", "CAUSE", "{{ printf `%.0f` $value }}", "N",
		"{{ $value | humanizePercentage }}", "N %", "{{ $value | humanizeDuration }}", "N days")
	for _, a := range Alerts() {
		a.Means, a.Next = plain.Replace(a.Means), plain.Replace(a.Next)
		row(b, a.Name, string(a.Level), a.For, a.Means, code(a.Next), code(a.Expr))
	}
}

func oneByOne(b *strings.Builder, d Definition) {
	fmt.Fprintf(b, "\n### %s\n\nWhile it is down, %s.\n\n| | |\n|---|---|\n", d.Name, d.Loss)
	fact := func(name string, ask func(Definition) string) {
		if text := merged(spans(d, ask)); text != "–" {
			row(b, name, text)
		}
	}
	row(b, "versions", existsIn(d))
	fact("off, because", func(d Definition) string {
		if d.Optional == "" {
			return ""
		}
		return d.Optional + "; `services." + d.Name + ".disabled: false` turns it on"
	})
	fact("command", func(d Definition) string { return code(strings.Join(d.Command, " ")) })
	fact("needs", func(d Definition) string { return strings.Join(d.Needs, ", ") })
	fact("starts after, if there", func(d Definition) string { return strings.Join(d.Wants, ", ") })
	fact("ready", func(d Definition) string { return d.Ready.Describe(d.Without.Ready) })
	fact("alive", func(d Definition) string { return d.Live.Describe(d.Without.Live) })
	fact("start", startRule)
	fact("stop", stopRule)
	fact("restart", restartRule)
	fact("memory", memoryRule)
	fact("replicas", replicaRule)
	fact("in an upgrade", func(d Definition) string { return string(d.Switch) })
	fact("in a snapshot", func(d Definition) string { return string(d.Snapshot) })
	fact("log", func(d Definition) string { return d.Log.Format })
	fact("capabilities", func(d Definition) string { return strings.Join(d.Caps, ", ") })
	for _, v := range d.Variants {
		if slices.ContainsFunc(edges(d), func(version string) bool { return v.holds(version) }) || d.In(demo, "1.0.0") && v.forDemo() {
			row(b, "different "+rangesOf(v.In), v.Why)
		}
	}
}

// holds reports whether a version has the difference.
func (v Variant) holds(version string) bool {
	return slices.ContainsFunc(v.In, func(r Releases) bool { return r.Contains(sourcegraph, version) })
}

func (v Variant) forDemo() bool {
	return slices.ContainsFunc(v.In, func(r Releases) bool { return r.Product == demo })
}

func startRule(d Definition) string {
	if d.Start.Timeout == 0 {
		return "as long as it takes"
	}
	return "ready within " + d.Start.Timeout.String()
}

func stopRule(d Definition) string {
	if d.Stop.Wait {
		return "no signal: its own end is waited for, " + d.Stop.Grace.String() + " at most"
	}
	return SignalName(d.Stop.Signal) + " to " + map[StopTo]string{ToMain: "its main process", ToGroup: "all its processes"}[d.Stop.To] + ", KILL after " + d.Stop.Grace.String()
}

func restartRule(d Definition) string {
	out := "after a failure at once, then with pauses of up to " + d.Restart.Max.String()
	if d.Restart.Expected != "" {
		out += "; an end after the line “" + d.Restart.Expected + "” is no failure"
	}
	if d.Restart.Final.Remedy != "" {
		out += "; a failure that needs a decision: " + d.Restart.Final.Remedy
	}
	return out
}

func memoryRule(d Definition) string {
	if d.Budget.Memory == 0 {
		return ""
	}
	return limits.FormatBytes(d.Budget.Memory) + " at most, " + limits.FormatBytes(d.Demand.Floor) + " at least"
}

func replicaRule(d Definition) string {
	if d.Replicas.Max <= 1 {
		if d.Replicas.Once == "" {
			return "one"
		}
		return "one: " + d.Replicas.Once
	}
	out := fmt.Sprintf("up to %d, by %s", d.Replicas.Max, d.Replicas.Driver)
	if d.Replicas.Identity {
		out += "; each has data of its own"
	}
	if d.Replicas.With != "" {
		out += "; as many as " + d.Replicas.With
	}
	return out
}

func rangesOf(list []Releases) string {
	var out []string
	for _, r := range list {
		if r.Product == sourcegraph {
			out = append(out, versionRange(r.From, r.Until))
		} else {
			out = append(out, r.Product)
		}
	}
	return strings.Join(out, ", ")
}
