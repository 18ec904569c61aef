package services

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRosterOfThirdParties holds the catalog's table: which version ships what.
func TestRosterOfThirdParties(t *testing.T) {
	exporters := " pgsql-exporter codeintel-db-exporter"
	for version, want := range map[string]string{
		"3.38.0":    "minio prometheus alertmanager grafana jaeger cadvisor" + exporters + " redis-store-exporter redis-cache-exporter executor docker-mirror",
		"5.2.7":     "blobstore prometheus alertmanager grafana jaeger otel-collector node-exporter cadvisor" + exporters + " codeinsights-db-exporter redis-store-exporter redis-cache-exporter qdrant executor docker-mirror",
		"5.11.6271": "blobstore prometheus alertmanager grafana jaeger otel-collector node-exporter cadvisor" + exporters + " codeinsights-db-exporter redis-store-exporter redis-cache-exporter executor docker-mirror",
		"7.5.4453":  "blobstore prometheus alertmanager grafana jaeger otel-collector node-exporter cadvisor" + exporters + " codeinsights-db-exporter redis-store-exporter redis-cache-exporter executor docker-mirror",
	} {
		var have []string
		for _, d := range thirdParties() {
			if d.In("sourcegraph", version) {
				have = append(have, d.Name)
			}
		}
		require.Equal(t, want, strings.Join(have, " "), version)
	}
	for _, d := range thirdParties() {
		require.False(t, d.In("demo", "1.0.0"), d.Name)
		require.True(t, d.Spare != (d.Optional != ""), "%s: a release may lack it, or it is off with a reason", d.Name)
	}
}

// TestThirdPartiesListenOnLoopback finds every port in what the program is told, and no address but loopback.
func TestThirdPartiesListenOnLoopback(t *testing.T) {
	for _, family := range families {
		no := false
		s := Selection{Product: family[0], Version: family[1], Overrides: map[string]Override{}}
		for _, d := range thirdParties() {
			s.Overrides[d.Name] = Override{Disabled: &no}
		}
		plan, err := Build(input(t, s))
		require.NoError(t, err)
		for _, inst := range plan.Instances {
			if !slices.ContainsFunc(thirdParties(), func(d Definition) bool { return d.Name == inst.Service }) {
				continue
			}
			told := strings.Join(inst.Argv, "\n") + "\n" + strings.Join(inst.Env, "\n")
			for _, f := range inst.Files {
				told += "\n" + f.Content
			}
			require.NotContains(t, told, "0.0.0.0", inst.Name())
			require.NotContains(t, strings.ReplaceAll(told, "::1", ""), "[::]", inst.Name())
			if inst.Service == "jaeger" { // the file is for version 2, the flags are for version 1: only one of them is read
				continue
			}
			for name, address := range inst.Addresses {
				_, number, _ := strings.Cut(address, ":")
				byParts := strings.Contains(told, "127.0.0.1\n") && strings.Contains(told, number)
				require.True(t, strings.Contains(told, address) || byParts, "%s %s: nothing says %s to it", family[1], inst.Name(), name)
			}
		}
	}
}

func TestPrometheusScrapesWhatRuns(t *testing.T) {
	conf := func(s Selection) string {
		plan, err := Build(input(t, s))
		require.NoError(t, err)
		i := slices.IndexFunc(plan.Instances, func(i Instance) bool { return i.Service == "prometheus" })
		return plan.Instances[i].Files[0].Content
	}
	three, yes := 3, true
	whole := conf(Selection{Product: "sourcegraph", Version: "7.5.4453", Overrides: map[string]Override{"gitserver": {Replicas: &three}}})
	require.Equal(t, 3, strings.Count(whole, "service: 'gitserver/"), "each instance is a target of one job")
	require.Equal(t, 1, strings.Count(whole, "job_name: 'gitserver'"))
	require.Contains(t, whole, "job_name: 'codeintel-db'", "dashboards choose by the catalog's job")
	require.Contains(t, whole, "targets: ['127.0.0.1:9093']")
	require.NotContains(t, whole, "cadvisor", "what is off is not scraped")
	without := conf(Selection{Product: "sourcegraph", Version: "7.5.4453", Overrides: map[string]Override{"alertmanager": {Disabled: &yes}}})
	require.NotContains(t, without, "alerting:")
}
