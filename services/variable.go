package services

import (
	_ "embed"
	"slices"
	"strings"
)

//go:embed variables.txt
var variableTable string

// Variable is an environment variable that some services know in some versions.
type Variable struct {
	Name   string
	Of     []string // services, or groups of them
	In     Releases
	Needed bool // they do not work without it
	Taken  bool // the appliance's own environment may set it: see [FromEnvironment]
}

// Variables is the catalog of variables.txt: one entry for each range of versions.
func Variables() []Variable {
	var out []Variable
	for line := range strings.Lines(variableTable) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		v := Variable{Name: words[0], Of: strings.Split(words[1], ","), In: Releases{sourcegraph, words[2], strings.TrimPrefix(words[3], "-")}}
		if words[2] == demo {
			v.In = Releases{Product: demo}
		}
		mark := strings.Join(words[4:], "")
		v.Needed, v.Taken = mark == "!", mark == "="
		out = append(out, v)
	}
	return out
}

// IsFor reports whether the entry is about a service, by its name or by a group that it is in.
func (v Variable) IsFor(service string) bool {
	return slices.ContainsFunc(v.Of, func(of string) bool {
		switch of {
		case service, "every":
			return true
		case "zoekt":
			return strings.HasPrefix(service, "zoekt-")
		case "db":
			return readsDSN(service)
		case "client":
			return isGo(service) && !readsDSN(service)
		case "go":
			return isGo(service)
		}
		return false
	})
}

// readsDSN names who takes its databases from its environment; all others take them from frontend. src: sourcegraph: internal/database/postgresdsn @3.38
func readsDSN(service string) bool { return service == "frontend" || service == "migrator" }

// isGo names Sourcegraph's own services in Go, which share the libraries that read the environment.
func isGo(service string) bool {
	return slices.Contains([]string{
		"migrator", "frontend", "gitserver", "github-proxy", "repo-updater", "searcher", "symbols", "worker", "precise-code-intel-worker", "syntactic-code-intel-worker", "embeddings",
	}, service)
}
