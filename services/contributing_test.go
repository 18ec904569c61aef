package services

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTasksOfContributing does the three tasks of CONTRIBUTING.md to a copy of the registry; the page quotes what each of them changes.
func TestTasksOfContributing(t *testing.T) {
	page, err := os.ReadFile("../CONTRIBUTING.md")
	require.NoError(t, err)
	for name, task := range map[string]func() (before, after Selection){
		"add": addGreeter, "move": moveSymbolsEarlier, "scale": scaleSearcher,
	} {
		t.Run(name, func(t *testing.T) {
			before, after := task()
			was, err := Build(input(t, before))
			require.NoError(t, err)
			is, err := Build(input(t, after))
			require.NoError(t, err)
			text := difference(was, is)
			require.Contains(t, string(page), "```diff\n"+text+"```\n", "CONTRIBUTING.md quotes this:\n%s", text)
		})
	}
}

// TestUnfinishedMoveIsRefused: whoever still refers to what has left is named, with the text that does.
func TestUnfinishedMoveIsRefused(t *testing.T) {
	_, after := moveSymbolsEarlier()
	for i, d := range after.Registry {
		if d.Name == "frontend" {
			after.Registry[i] = frontend()
			after.Registry[i].Origin = BuiltIn
		}
	}
	_, err := Build(input(t, after))
	require.ErrorContains(t, err, "frontend: env SYMBOLS_URL")
	require.ErrorContains(t, err, `there is no service "symbols"`)
}

// addGreeter is the first task: a new service of 7.5.
func addGreeter() (before, after Selection) {
	before = Selection{Product: sourcegraph, Version: "7.5.4453", Registry: All()}
	greeter := Definition{
		Name: "greeter", Kind: KindService, Releases: between("7.5", ""), Loss: "nobody is greeted", Origin: BuiltIn,
		Command: []string{"greeter"},
		Env:     goEnv(map[string]string{"GREETER_ADDR": "{{ .Address.http }}"}),
		Ports:   []Port{{Name: "http", Number: 3190}, {Name: "debug", Number: 6090}},
		Needs:   []string{"frontend"},
		Ready:   readyHTTP("/healthz", "http"), Live: goLive(), Stop: goStop(), Restart: goRestart(), Log: serviceLog("json"), Metrics: goMetrics(),
		Budget: Budget{Memory: gib, CPUWeight: 50, Pids: 128}, Demand: Demand{Floor: 32 * mib, Share: 1, Elastic: ElasticLoad, OOMRank: 4, Knobs: goKnobs()},
		Replicas: Replicas{Max: 1}, Switch: SideBySide, Snapshot: SnapshotNever, Variants: goVariants(),
	}
	after = before
	after.Registry = append(All(), greeter)
	return before, after
}

// moveSymbolsEarlier is the second: 6.4 moved symbols into searcher; here 6.3 does.
func moveSymbolsEarlier() (before, after Selection) {
	before = Selection{Product: sourcegraph, Version: "6.3.4167", Registry: All()}
	after = before
	after.Registry = slices.DeleteFunc(All(), func(d Definition) bool { return d.Name == "symbols" })
	for i, d := range after.Registry {
		after.Registry[i].Variants = slices.Clone(d.Variants)
		for j, v := range d.Variants {
			if v.Change.Env["SYMBOLS_URL"] != nil { // frontend's and worker's
				env := maps.Clone(v.Change.Env)
				delete(env, "SYMBOLS_URL")
				after.Registry[i].Variants[j].Change.Env = env
			}
			if _, moved := v.Change.Env["SYMBOLS_CACHE_DIR"]; d.Name == "searcher" && moved {
				after.Registry[i].Variants[j].In = between("6.3", "")
			}
		}
	}
	return before, after
}

// scaleSearcher is the third: three of what ran once. It needs no change of the registry.
func scaleSearcher() (before, after Selection) {
	before = Selection{Product: sourcegraph, Version: "7.5.4453", Registry: All()}
	after, three := before, 3
	after.Overrides = map[string]Override{"searcher": {Replicas: &three}}
	return before, after
}

// difference is what a change does to a plan, in the way of diff: instances, and of those in both what they are started with.
func difference(was, is Plan) string {
	var out strings.Builder
	old, now := byName(was), byName(is)
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, ok := now[name]; !ok {
			fmt.Fprintf(&out, "- %s\n", headOf(old[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if _, ok := old[name]; !ok {
			fmt.Fprintf(&out, "+ %s\n", headOf(now[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		before, ok := old[name]
		if !ok || before.Hash == now[name].Hash {
			continue
		}
		fmt.Fprintf(&out, "  %s\n", name)
		for _, line := range before.Env {
			if !slices.Contains(now[name].Env, line) {
				fmt.Fprintf(&out, "-   %s\n", short(line))
			}
		}
		for _, line := range now[name].Env {
			if !slices.Contains(before.Env, line) {
				fmt.Fprintf(&out, "+   %s\n", short(line))
			}
		}
		for i, f := range now[name].Files {
			if i < len(before.Files) && before.Files[i].Content != f.Content {
				fmt.Fprintf(&out, "!   %s\n", filepath.Base(f.Path))
			}
		}
	}
	return out.String()
}

// short cuts a long value, such as the list of all debug ports, which changes with every service.
func short(line string) string {
	if name, _, _ := strings.Cut(line, "="); len(line) > 120 {
		return name + "=…"
	}
	return line
}

func byName(p Plan) map[string]Instance {
	out := map[string]Instance{}
	for _, inst := range p.Instances {
		out[inst.Name()] = inst
	}
	return out
}

func headOf(inst Instance) string {
	var at []string
	for _, port := range slices.Sorted(maps.Keys(inst.Addresses)) {
		at = append(at, port+" "+inst.Addresses[port])
	}
	return inst.Name() + ": " + strings.Join(at, ", ") + "; needs " + strings.Join(inst.Needs, " ")
}
