package services

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// families are one version of each family of Sourcegraph, and the demo.
var families = [][2]string{
	{"sourcegraph", "3.38.0"}, {"sourcegraph", "5.0.0"}, {"sourcegraph", "5.2.7"}, {"sourcegraph", "5.11.6271"},
	{"sourcegraph", "6.3.4167"}, {"sourcegraph", "6.4.0"}, {"sourcegraph", "7.5.4453"}, {"demo", "1.0.0"},
}

func TestEveryDefinitionHasAllParts(t *testing.T) {
	for _, family := range families {
		for _, d := range Of(family[0], family[1]) {
			t.Run(family[0]+" "+family[1]+" "+d.Name, func(t *testing.T) {
				require.NoError(t, CheckName(d.Name))
				require.NotEmpty(t, d.Loss)
				require.NotEmpty(t, d.Command)
				require.True(t, d.Ready != nil || d.Without.Ready != "", "readiness or a reason")
				require.True(t, d.Live != nil || d.Without.Live != "", "liveness or a reason")
				require.True(t, d.Metrics != nil || d.Without.Metrics != "", "metrics or a reason")
				require.NotZero(t, d.Stop.Signal)
				require.NotEmpty(t, d.Stop.To)
				require.Positive(t, d.Stop.Grace)
				require.LessOrEqual(t, d.Stop.Weight, 2)
				require.Positive(t, d.Restart.Max)
				require.Positive(t, d.Restart.ResetAfter)
				require.True(t, d.Start.Timeout > 0 || d.Kind == KindOneshot, "a limit for the start")
				require.Positive(t, d.Log.MaxSize)
				require.Positive(t, d.Log.Keep)
				require.Contains(t, []string{"logfmt", "json", "postgres", "redis", "go", "plain"}, d.Log.Format)
				require.Positive(t, d.Budget.Memory)
				require.Positive(t, d.Budget.CPUWeight)
				require.Positive(t, d.Budget.Pids)
				require.Positive(t, d.Replicas.Max)
				require.True(t, d.Replicas.Max == 1 || d.Replicas.Driver != "", "what drives the number of replicas")
				require.Contains(t, []Switch{SideBySide, StopThenStart}, d.Switch)
				require.Contains(t, []SnapshotClass{SnapshotAlways, SnapshotShared, SnapshotNever}, d.Snapshot)
				require.LessOrEqual(t, len(d.User), 31)
				require.LessOrEqual(t, len(DefaultUser(d.Name)), 31)
				for _, x := range d.Data {
					require.Contains(t, []DataClass{DataState, DataCache, DataNone}, x.Class)
					require.True(t, x.Class != DataState || d.Snapshot == SnapshotAlways || d.Name == "gitserver", "state belongs in a snapshot")
				}
				for _, p := range []*Probe{d.Ready, d.Live} {
					require.NoError(t, checkProbe(d, p))
				}
			})
		}
	}
}

func checkProbe(d Definition, p *Probe) error {
	if p == nil {
		return nil
	}
	return checkProbePort("probe", Effective{Definition: d}, *p)
}

func TestPortsAreUniqueOnOneMachine(t *testing.T) {
	for _, family := range families {
		owner := map[int]string{}
		for _, d := range Of(family[0], family[1]) {
			for _, p := range d.Ports {
				require.Emptyf(t, owner[p.Number], "%s.%s has the port %d", d.Name, p.Name, p.Number)
				require.True(t, p.Number < 20000 || p.Number > 32767, "ports from 20000 to 32767 are for those that move")
				owner[p.Number] = d.Name + "." + p.Name
			}
		}
	}
}

func TestE30GraphOfEveryFamilyIsWhole(t *testing.T) {
	for _, family := range families {
		list, err := Selection{Product: family[0], Version: family[1]}.Effective()
		require.NoError(t, err)
		require.Greater(t, len(list), 7)
	}
}

func TestGoServicesHaveDebugPorts(t *testing.T) {
	for _, d := range Of("sourcegraph", "5.2.7") {
		if _, isGo := d.Env["SRC_PROF_HTTP"]; isGo {
			require.True(t, slices.ContainsFunc(d.Ports, func(p Port) bool { return p.Name == "debug" }), d.Name)
		}
	}
}

func TestVersionsDiffer(t *testing.T) {
	env := func(version, service string) map[string]string {
		for _, d := range Of("sourcegraph", version) {
			if d.Name == service {
				return d.Env
			}
		}
		return nil
	}
	require.Equal(t, "true", env("3.38.0", "gitserver")["INSECURE_DEV"])
	require.NotContains(t, env("5.0.0", "gitserver"), "INSECURE_DEV")
	require.Contains(t, env("6.3.0", "frontend"), "SYMBOLS_URL")
	require.NotContains(t, env("6.4.0", "frontend"), "SYMBOLS_URL")
	require.Contains(t, env("5.2.7", "frontend"), "GITHUB_BASE_URL")
	require.NotContains(t, env("5.3.0", "frontend"), "GITHUB_BASE_URL")
	require.Equal(t, "docker-compose", env("7.5.4453", "worker")["DEPLOY_TYPE"])
	require.NotContains(t, env("7.5.4453", "worker"), "WORKER_ADDR")
	require.Empty(t, Of("sourcegraph", "3.37.0"), "older than what is defined")
}

func TestFixedPortsByVersion(t *testing.T) {
	fixed := func(product, version string) string {
		var out []string
		for _, d := range Of(product, version) {
			for _, p := range d.Ports {
				if p.Fixed {
					out = append(out, d.Name+"."+p.Name)
				}
			}
		}
		return strings.Join(out, " ")
	}
	require.Equal(t, "github-proxy.http repo-updater.http searcher.http symbols.http worker.http precise-code-intel-worker.http", fixed("sourcegraph", "3.38.0"))
	require.Equal(t, "repo-updater.http symbols.http worker.http worker.executors precise-code-intel-worker.http", fixed("sourcegraph", "6.0.0"))
	require.Equal(t, "worker.http worker.executors precise-code-intel-worker.http", fixed("sourcegraph", "7.5.0"))
	require.Empty(t, fixed("demo", "1.0.0"))
}

func TestCompareVersions(t *testing.T) {
	for _, ordered := range [][2]string{{"3.9", "3.38"}, {"3.38", "3.38.1"}, {"5.0.0-rc.1", "5.0.0"}, {"v4.5.1", "5"}, {"5.11.6271", "6.0"}} {
		require.Negative(t, CompareVersions(ordered[0], ordered[1]), ordered)
		require.Positive(t, CompareVersions(ordered[1], ordered[0]), ordered)
	}
	for _, same := range [][2]string{{"3.38", "3.38.0"}, {"v1", "1.0.0"}, {"1.0+a", "1.0+b"}} {
		require.Zero(t, CompareVersions(same[0], same[1]), same)
	}
}
