package supervisor

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
)

func TestWhyTellsWhatAnExitCodeMeans(t *testing.T) {
	all := services.Of("sourcegraph", "7.5.4453")
	i := slices.IndexFunc(all, func(d services.Definition) bool { return d.Name == "zoekt-webserver" })
	require.GreaterOrEqual(t, i, 0)
	told := func(e api.Exit) string {
		evidence := map[string]string{}
		tellCode(evidence, all[i].Restart, e)
		return evidence["exit_code_means"]
	}
	require.Contains(t, told(api.Exit{Code: 3}), "watchdog")
	require.Empty(t, told(api.Exit{Code: 1}))
	require.Empty(t, told(api.Exit{Code: 3, Signal: "KILL"}))
}
