package services

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// input is a machine on which every program and every catalog port is there.
func input(t testing.TB, s Selection) Input {
	t.Helper()
	in := Input{
		Selection: s, Release: s.Version + "-0123456789abcdef",
		Programs: map[string]Program{}, Addresses: map[string]string{},
		Dirs: Dirs{Data: "/var/lib/sourcegraph", Run: "/run/sourcegraph"}, Generation: 1, Path: "/usr/bin:/bin",
	}
	list, err := s.Effective()
	require.NoError(t, err)
	free := 20000
	for _, e := range list {
		if len(e.Command) > 0 && !filepath.IsAbs(e.Command[0]) {
			in.Programs[e.Name] = programOf(e)
		}
		for n := range e.Count {
			for _, p := range e.Ports {
				number := p.Number
				if n > 0 {
					free++
					number = free
				}
				in.Addresses[AddressKey(e.Name, n, p.Name)] = fmt.Sprintf("127.0.0.1:%d", number)
			}
		}
	}
	return in
}

func programOf(e Effective) Program {
	switch e.Command[0] {
	case "postgres":
		return Program{Path: "/usr/lib/postgresql/15/bin/postgres", Source: "host"}
	case "redis-server":
		return Program{Path: "/usr/bin/redis-server", Source: "host"}
	case "grafana-server":
		return Program{Path: "/var/lib/sourcegraph/releases/r/grafana/bin/grafana-server", Source: "release"}
	}
	return Program{Path: "/var/lib/sourcegraph/releases/r/bin/" + e.Command[0], Source: "release"}
}

func TestGoldenPlans(t *testing.T) {
	three := 3
	for name, s := range map[string]Selection{
		"demo-1.0.0":            {Product: "demo", Version: "1.0.0"},
		"sourcegraph-3.38.0":    {Product: "sourcegraph", Version: "3.38.0"},
		"sourcegraph-5.2.7":     {Product: "sourcegraph", Version: "5.2.7"},
		"sourcegraph-5.2.7-all": everythingOn("5.2.7"),
		"sourcegraph-5.6.0":     {Product: "sourcegraph", Version: "5.6.0"},
		"sourcegraph-5.11.6271": {Product: "sourcegraph", Version: "5.11.6271"},
		"sourcegraph-6.3.4167":  {Product: "sourcegraph", Version: "6.3.4167"},
		"sourcegraph-6.4.0":     {Product: "sourcegraph", Version: "6.4.0"},
		"sourcegraph-7.5.4453":  {Product: "sourcegraph", Version: "7.5.4453"},
		"demo-three-gitservers": {Product: "demo", Version: "1.0.0", Overrides: map[string]Override{"gitserver": {Replicas: &three}}},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := Build(input(t, s))
			require.NoError(t, err)
			got, err := json.MarshalIndent(plan, "", " ")
			require.NoError(t, err)
			golden := filepath.Join("testdata", name+".json")
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got)+"\n", "go test ./services -update renews the golden files")
		})
	}
}

func TestBuildIsTheSameEachTime(t *testing.T) {
	in := input(t, Selection{Product: "sourcegraph", Version: "5.2.7"})
	first, err := Build(in)
	require.NoError(t, err)
	for range 10 {
		again, err := Build(in)
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
}

func TestHashChangesOnlyForWhatAProcessWasStartedWith(t *testing.T) {
	hashes := func(o Override) map[string]string {
		plan, err := Build(input(t, Selection{Product: "demo", Version: "1.0.0", Overrides: map[string]Override{"searcher": o}}))
		require.NoError(t, err)
		out := map[string]string{"plan": plan.Hash}
		for _, inst := range plan.Instances {
			out[inst.Name()] = inst.Hash
		}
		return out
	}
	blue, keep := "blue", 9
	before := hashes(Override{})

	env := hashes(Override{Env: map[string]*string{"COLOR": &blue}})
	require.NotEqual(t, before["searcher"], env["searcher"])
	require.Equal(t, before["frontend"], env["frontend"])
	require.NotEqual(t, before["plan"], env["plan"])

	log := hashes(Override{Log: &LogChange{Keep: &keep}})
	require.Equal(t, before["searcher"], log["searcher"], "the supervisor keeps the log, the process does not notice")
	require.NotEqual(t, before["plan"], log["plan"])
}

func TestNoSecretOnACommandLine(t *testing.T) {
	hello, err := FromSite("hello", "hello.yaml", Override{Command: []string{"/bin/hello", "--password={{ .Secret.postgres }}"}})
	require.NoError(t, err)
	_, err = Build(input(t, Selection{Product: "none", DropIns: []Definition{hello}}))
	require.ErrorContains(t, err, "can be read by everybody")

	plan, err := Build(input(t, Selection{Product: "demo", Version: "1.0.0"}))
	require.NoError(t, err)
	require.Equal(t, []string{"postgres", "redis"}, SecretsOf(plan))
}

func TestExpandLeavesThePlanUntouched(t *testing.T) {
	plan, err := Build(input(t, Selection{Product: "demo", Version: "1.0.0"}))
	require.NoError(t, err)
	before, err := json.Marshal(plan)
	require.NoError(t, err)
	for _, inst := range plan.Instances {
		full, err := Expand(inst, map[string]string{"postgres": "p4ss", "redis": "r3dis"})
		require.NoError(t, err)
		text, err := json.Marshal(full)
		require.NoError(t, err)
		require.NotContains(t, string(text), "@secret{")
		_, err = Expand(inst, nil)
		if strings.Contains(strings.Join(inst.Env, " "), "@secret{") {
			require.ErrorContains(t, err, "there is no secret")
		}
	}
	after, err := json.Marshal(plan)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after))
}

func TestE30CircleNamesItsPath(t *testing.T) {
	var defs []Definition
	for name, need := range map[string]string{"a": "b", "b": "c", "c": "a"} {
		d, err := FromSite(name, "x.yaml", Override{Command: []string{"/bin/true"}, Needs: []string{need}})
		require.NoError(t, err)
		defs = append(defs, d)
	}
	slices.SortFunc(defs, func(a, b Definition) int { return strings.Compare(a.Name, b.Name) })
	_, err := Selection{Product: "none", DropIns: defs}.Effective()
	require.ErrorContains(t, err, "a → b → c → a")
}

func TestSelectionRefuses(t *testing.T) {
	site := func(name string, o Override) Definition {
		o.Command = []string{"/bin/true"}
		d, err := FromSite(name, name+".yaml", o)
		require.NoError(t, err)
		return d
	}
	yes, two := true, 2
	for want, s := range map[string]Selection{
		"hello needs gitserver, which is not defined":     {Product: "none", DropIns: []Definition{site("hello", Override{Needs: []string{"gitserver"}})}},
		"frontend needs redis-cache, which is disabled":   {Product: "demo", Version: "1", Overrides: map[string]Override{"redis-cache": {Disabled: &yes}}},
		"postgres is a built-in service; change it under": {Product: "none", DropIns: []Definition{site("postgres", Override{})}},
		"services.worker.replicas: 2 is outside 1..1: the licence check and, since 6.4, the repository scheduler run exactly once": {Product: "demo", Version: "1", Overrides: map[string]Override{"worker": {Replicas: &two}}},
		"services.symbolz: this release has no such":     {Product: "demo", Version: "1", Overrides: map[string]Override{"symbolz": {}}},
		"service hello is already defined in hello.yaml": {Product: "none", DropIns: []Definition{site("hello", Override{}), site("hello", Override{})}},
	} {
		_, err := s.Effective()
		require.ErrorContains(t, err, want)
	}
}

func TestWhatIsOffByDefaultCanBeTurnedOn(t *testing.T) {
	site := func(d Definition, s Selection) bool {
		e, err := s.effective(d, s.Overrides[d.Name])
		require.NoError(t, err)
		return !e.Disabled
	}
	no := false
	on := map[string]Override{"x": {Disabled: &no}}
	absent := map[string]bool{"x": true}
	optional, spare := Definition{Name: "x", Optional: "a reason"}, Definition{Name: "x", Spare: true}
	require.False(t, site(optional, Selection{}))
	require.True(t, site(optional, Selection{Overrides: on}))
	require.True(t, site(spare, Selection{}))
	require.False(t, site(spare, Selection{Absent: absent}))
	require.True(t, site(spare, Selection{Absent: absent, Overrides: on}))
	require.True(t, site(Definition{Name: "x"}, Selection{Absent: absent}), "only a spare service may be absent")
}

func TestTemplateFaultsNameTheServiceAndTheField(t *testing.T) {
	for text, want := range map[string]string{
		"{{ .Address.htp }}":            `hello: command: "{{ .Address.htp }}": nothing is called "htp"`,
		`{{ .Peer "gitsever" "http" }}`: `there is no service "gitsever"`,
		`{{ .Peer "hello" "grpc" }}`:    `hello has no port "grpc"`,
		"{{ .Secret.nope }}":            `nothing is called "nope"`,
		"{{ .Nonsense }}":               "Nonsense",
		"{{ ":                           "hello: command",
	} {
		d, err := FromSite("hello", "hello.yaml", Override{Command: []string{"/bin/hello", text}, Ports: map[string]int{"http": 9099}})
		require.NoError(t, err)
		_, err = Build(input(t, Selection{Product: "none", DropIns: []Definition{d}}))
		require.ErrorContains(t, err, want, text)
	}
}

// TestRandomOverridesNeverCollideOrDangle is a property: whatever the site says, a plan that is made has unique addresses, private directories
// and users, and needs only what it has.
func TestRandomOverridesNeverCollideOrDangle(t *testing.T) {
	made := 0
	for seed := range uint64(600) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := randomSelection(r)
		if _, err := s.Effective(); err != nil {
			continue
		}
		plan, err := Build(input(t, s))
		if err != nil {
			require.ErrorContains(t, err, "have the same address", "seed %d", seed)
			continue
		}
		made++
		requireWhole(t, plan, seed)
	}
	require.Greater(t, made, 100, "most selections are possible")
}

func randomSelection(r *rand.Rand) Selection {
	family := families[r.IntN(len(families))]
	s := Selection{Product: family[0], Version: family[1], Overrides: map[string]Override{}}
	for _, d := range Of(family[0], family[1]) {
		var o Override
		if n := 1 + r.IntN(4); r.IntN(3) == 0 && n <= d.Replicas.Max {
			o.Replicas = &n
		}
		if yes := true; r.IntN(200) == 0 {
			o.Disabled = &yes
		}
		if r.IntN(60) == 0 {
			o.Needs = []string{All()[r.IntN(len(All()))].Name}
		}
		if r.IntN(16) == 0 {
			o.Ports = map[string]int{"http": 3000 + r.IntN(300)}
		}
		s.Overrides[d.Name] = o
	}
	return s
}

func requireWhole(t *testing.T, plan Plan, seed uint64) {
	t.Helper()
	names, addresses, dirs := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, inst := range plan.Instances {
		require.False(t, names[inst.Name()], "seed %d", seed)
		names[inst.Name()] = true
		for _, address := range inst.Addresses {
			require.False(t, addresses[address], "seed %d: %s", seed, address)
			addresses[address] = true
		}
		for _, d := range append(slices.Clone(inst.Data), Data{Path: inst.RunDir}) {
			require.True(t, filepath.IsAbs(d.Path))
			if d.Of == "" {
				require.False(t, dirs[d.Path], "seed %d: %s", seed, d.Path)
				dirs[d.Path] = true
			}
		}
		require.True(t, slices.IsSorted(inst.Env))
		text, err := json.Marshal(inst)
		require.NoError(t, err)
		ours := strings.NewReplacer("{{ $", "", "{{ printf", "").Replace(string(text)) // what Prometheus fills in is none of ours
		require.NotContains(t, ours, "{{", "seed %d", seed)
	}
	for _, inst := range plan.Instances {
		for _, need := range append(slices.Clone(inst.Needs), inst.Wants...) {
			require.True(t, names[need], "seed %d: %s needs %s", seed, inst.Name(), need)
		}
	}
}

func TestGraphFormats(t *testing.T) {
	defs := Of("demo", "1.0.0")
	text, err := Graph(defs, "")
	require.NoError(t, err)
	require.Less(t, strings.Index(text, "postgres"), strings.Index(text, "migrator"))
	require.Contains(t, text, "searcher  needs frontend  after gitserver")
	for _, format := range []string{"text", "dot", "mermaid"} {
		whole, err := Graph(Of(sourcegraph, "7.5.4453"), format)
		require.NoError(t, err)
		require.NotContains(t, whole, "minio", "it is gone since 4.2.1")
		require.Contains(t, whole, "blobstore")
	}
	dot, err := Graph(defs, "dot")
	require.NoError(t, err)
	require.Contains(t, dot, `"frontend" -> "migrator";`)
	mermaid, err := Graph(defs, "mermaid")
	require.NoError(t, err)
	require.Contains(t, mermaid, "searcher -.-> gitserver")
	_, err = Graph(defs, "png")
	require.ErrorContains(t, err, "text, dot or mermaid")
}

func TestParseSignal(t *testing.T) {
	for _, name := range []string{"TERM", "SIGTERM", "term"} {
		s, err := ParseSignal(name)
		require.NoError(t, err)
		require.Equal(t, "TERM", SignalName(s.Number))
	}
	_, err := ParseSignal("TREM")
	require.ErrorContains(t, err, "use one of HUP, INT")
}
