package services

import (
	"maps"
	"slices"
	"strings"
)

// environmentPage is ENVIRONMENT.md.
func environmentPage(all []Definition) string {
	var b strings.Builder
	b.WriteString("# Environment of the services\n\nMade from the definitions in this folder by `go test ./services -run Reference -update`; a test holds it. A service has these variables and no others.\n" +
		"`{{ … }}` is filled in at the start: addresses, directories, secrets. `services.<name>.env.VARIABLE` changes one, and `sourcegraph config explain` says what is in force.\n\n## Every service\n")
	heads(&b, "variable", "value")
	for _, one := range slices.Sorted(maps.Keys(commonEnv())) {
		row(&b, code(one), code(commonEnv()[one]))
	}
	row(&b, code("PATH"), "the directory of its program in the release, then the machine's")
	b.WriteString("\n## Services\n")
	for _, d := range all {
		b.WriteString("\n### " + d.Name + "\n")
		rows := envRows(d)
		if len(rows) == 0 {
			b.WriteString("\nNone of its own.\n")
			continue
		}
		heads(&b, "variable", "versions", "value", "why")
		for _, r := range rows {
			row(&b, code(r.name), strings.Join(r.in, ", "), r.value, r.why)
		}
	}
	return b.String()
}

// envRow is a variable with one value, and the versions that have it.
type envRow struct {
	name, value, why string
	in               []string
}

// envRows are all variables of a service by name, then by version.
func envRows(d Definition) []envRow {
	names := map[string]bool{}
	for _, from := range edges(d) {
		for name := range ownEnv(d.At(sourcegraph, from)) {
			names[name] = true
		}
	}
	if d.In(demo, "1.0.0") {
		for name := range ownEnv(d.At(demo, "1.0.0")) {
			names[name] = true
		}
	}
	var out []envRow
	for _, name := range slices.Sorted(maps.Keys(names)) {
		var own []envRow
		for _, s := range spans(d, func(at Definition) string { return ownEnv(at)[name] }) {
			if s.text == "" {
				continue
			}
			if i := slices.IndexFunc(own, func(r envRow) bool { return r.value == s.text }); i >= 0 {
				own[i].in = append(own[i].in, s.in)
				continue
			}
			own = append(own, envRow{name, s.text, whySet(d, name, s.text), []string{s.in}})
		}
		out = append(out, own...)
	}
	return out
}

// ownEnv are the values of one version, as the page shows them.
func ownEnv(d Definition) map[string]string {
	out := map[string]string{}
	shown := func(value string) string {
		if value == "" {
			return "empty"
		}
		return code(value)
	}
	for name, value := range d.Env {
		out[name] = shown(value)
	}
	for _, other := range slices.Sorted(maps.Keys(d.Beside)) {
		for name, value := range d.Beside[other] {
			text := shown(value) + " while " + other + " runs"
			if base := out[name]; base != "" {
				text += ", else " + base
			}
			out[name] = text
		}
	}
	for _, k := range d.Demand.Knobs {
		if k.Auto {
			out[k.Name] = "follows its budget of " + string(k.Of)
		}
	}
	return out
}

// whySet is the reason of the difference, or of the knob, that gives a variable this value; the definition's own values have theirs in its file.
func whySet(d Definition, name, shown string) string {
	for _, k := range d.Demand.Knobs {
		if k.Auto && k.Name == name {
			return k.Why
		}
	}
	var whys []string
	for _, v := range d.Variants {
		if v.sets(name, shown) && !slices.Contains(whys, v.Why) {
			whys = append(whys, v.Why)
		}
	}
	if len(whys) == 0 {
		return "the definition's own"
	}
	return strings.Join(whys, "; ")
}

// sets reports whether a difference gives the variable a value that the page shows so.
func (v Variant) sets(name, shown string) bool {
	if value := v.Change.Env[name]; value != nil && (*value == "" && strings.Contains(shown, "empty") || *value != "" && strings.Contains(shown, code(*value))) {
		return true
	}
	for _, env := range v.Beside {
		if value, ok := env[name]; ok && strings.Contains(shown, code(value)) {
			return true
		}
	}
	return false
}
