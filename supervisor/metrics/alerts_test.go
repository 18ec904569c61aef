package metrics

import (
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

// TestAlertsUseMetricsThatExist: every metric of a rule is a family of ours, with the labels that the rule chooses by, and every rule leads on.
func TestAlertsUseMetricsThatExist(t *testing.T) {
	metric := regexp.MustCompile(`(appliance_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	label := regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)"`)
	annotated := regexp.MustCompile(`\$labels\.([a-z_]+)`)
	seen := map[string]bool{}
	for _, a := range services.Alerts() {
		require.False(t, seen[a.Name], a.Name)
		seen[a.Name] = true
		var labels []string
		for _, found := range metric.FindAllStringSubmatch(a.Expr, -1) {
			i := slices.IndexFunc(families(), func(f family) bool { return f.name == found[1] })
			require.GreaterOrEqual(t, i, 0, "%s: there is no metric %s", a.Name, found[1])
			labels = append(labels, families()[i].labels...)
			for _, l := range label.FindAllStringSubmatch(found[2], -1) {
				require.Contains(t, families()[i].labels, l[1], "%s: %s has no such label", a.Name, found[1])
			}
		}
		if len(labels) == 0 { // of up: what the scrape configuration gives
			labels = []string{"service", "nodename"}
		}
		for _, l := range annotated.FindAllStringSubmatch(a.Means+a.Next, -1) {
			require.Contains(t, labels, l[1], a.Name)
		}
		require.Regexp(t, `^\d+[mh]$`, a.For, a.Name)
		require.Contains(t, []services.Level{services.Warning, services.Critical}, a.Level, a.Name)
		require.NotEmpty(t, a.Means, a.Name)
	}
	require.Greater(t, len(seen), 15)
}
