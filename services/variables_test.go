package services

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/limits"
)

// TestEveryVariableIsKnownAndWhatIsNeededIsSet, with everything on, in every version.
func TestEveryVariableIsKnownAndWhatIsNeededIsSet(t *testing.T) {
	known, used := Variables(), map[string]bool{}
	for _, version := range rosterVersions {
		plan, err := Build(input(t, everythingOn(version)))
		require.NoError(t, err)
		for _, inst := range plan.Instances {
			if isThirdParty(inst.Service) {
				continue
			}
			has := map[string]bool{}
			for _, kv := range inst.Env {
				name, value, _ := strings.Cut(kv, "=")
				has[name] = value != ""
				ok := slices.ContainsFunc(known, func(v Variable) bool {
					return v.Name == name && v.IsFor(inst.Service) && v.In.Contains(sourcegraph, version)
				})
				require.True(t, ok, "%s %s does not know %s", inst.Service, version, name)
				used[name] = true
			}
			for _, v := range known {
				if v.Needed && v.IsFor(inst.Service) && v.In.Contains(sourcegraph, version) {
					require.True(t, has[v.Name], "%s %s needs %s", inst.Service, version, v.Name)
				}
			}
		}
	}
	for _, v := range known {
		require.True(t, used[v.Name] || v.Taken, "%s is in the table and nowhere set", v.Name)
	}
}

// TestKnobsAreThere: a knob of a built-in service is a variable, a flag or a line of a file that really exists.
func TestKnobsAreThere(t *testing.T) {
	for _, version := range rosterVersions {
		in := input(t, everythingOn(version))
		list, err := in.Effective()
		require.NoError(t, err)
		for _, e := range list {
			require.Positive(t, e.Demand.Floor, e.Name)
			require.LessOrEqual(t, e.Demand.Floor, e.Budget.Memory, e.Name)
			require.Positive(t, e.Demand.Share, e.Name)
			require.NotEmpty(t, e.Demand.Elastic, e.Name)
			require.True(t, e.Demand.OOMRank >= 1 && e.Demand.OOMRank <= 5, e.Name)
			for _, k := range e.Demand.Knobs {
				require.NotEmpty(t, k.Why, "%s %s", e.Name, k.Name)
				_, set := in.env(list, e)[k.Name]
				inFile := slices.ContainsFunc(e.Files, func(f File) bool { return strings.Contains(f.Content, k.Name+" ") })
				bounded := k.Of == OfMemory && e.Budget.Memory > 0 || k.Of == OfCPUs && e.Budget.CPUs > 0
				require.True(t, set || inFile || slices.Contains(e.Command, k.Name) || k.Auto && !bounded, "%s has no %s in %s", e.Name, k.Name, version)
			}
		}
	}
}

func TestKnobsFollowTheBudget(t *testing.T) {
	memory, cpus := limits.Size(2*gib), limits.CPUs(1.5)
	plan, err := Build(input(t, Selection{Product: sourcegraph, Version: "5.2.7", Overrides: map[string]Override{"searcher": {
		Budget: &BudgetChange{Memory: &memory, CPUs: &cpus}, Env: map[string]*string{"GOGC": pointer("50")},
	}, "worker": {Env: map[string]*string{"GOMEMLIMIT": pointer("1GiB")}}, "gitserver": {Env: map[string]*string{"GOMEMLIMIT": nil}}}}))
	require.NoError(t, err)
	for _, inst := range plan.Instances {
		switch inst.Service {
		case "searcher":
			require.Contains(t, inst.Env, "GOMEMLIMIT=1843MiB", "nine tenths")
			require.Contains(t, inst.Env, "GOMAXPROCS=2", "rounded up")
		case "worker":
			require.Contains(t, inst.Env, "GOMEMLIMIT=1GiB", "the site has the last word")
		case "gitserver":
			require.NotContains(t, strings.Join(inst.Env, " "), "GOMEMLIMIT")
		}
	}
}

// TestReplicasAreListedEverywhere: who asks several of a service gets all their addresses, and zoekt's two go in pairs.
func TestReplicasAreListedEverywhere(t *testing.T) {
	two, three := 2, 3
	plan, err := Build(input(t, Selection{Product: sourcegraph, Version: "7.5.4453", Overrides: map[string]Override{
		"gitserver": {Replicas: &three}, "searcher": {Replicas: &two}, "zoekt-webserver": {Replicas: &two},
	}}))
	require.NoError(t, err)
	count := func(inst Instance, name string) int {
		for _, kv := range inst.Env {
			if value, ok := strings.CutPrefix(kv, name+"="); ok {
				return len(strings.Fields(value))
			}
		}
		return 0
	}
	pairs := 0
	for _, inst := range plan.Instances {
		switch inst.Service {
		case "frontend", "worker":
			require.Equal(t, []int{3, 2, 2}, []int{count(inst, "SRC_GIT_SERVERS"), count(inst, "SEARCHER_URL"), count(inst, "INDEXED_SEARCH_SERVERS")})
		case "searcher":
			require.Equal(t, 3, count(inst, "SRC_GIT_SERVERS"))
		case "zoekt-sourcegraph-indexserver":
			pairs++
			for _, web := range plan.Instances {
				if web.Service == "zoekt-webserver" && web.Number == inst.Number {
					require.Contains(t, inst.Env, "HOSTNAME="+web.Addresses["http"])
					require.Contains(t, inst.Argv, web.Addresses["http"])
					require.Equal(t, web.Data[0].Path, inst.Data[0].Path)
					require.Equal(t, web.User, inst.User)
				}
			}
		}
	}
	require.Equal(t, 2, pairs)

	_, err = Selection{Product: sourcegraph, Version: "7.5.4453", Overrides: map[string]Override{"zoekt-sourcegraph-indexserver": {Replicas: &three}}}.Effective()
	require.ErrorContains(t, err, "it has as many as zoekt-webserver, 1: set services.zoekt-webserver.replicas")
	_, err = Selection{Product: sourcegraph, Version: "3.38.0", Overrides: map[string]Override{"searcher": {Replicas: &two}}}.Effective()
	require.ErrorContains(t, err, "services.searcher.replicas: 2 is outside 1..1", "its port is a constant there")
}
