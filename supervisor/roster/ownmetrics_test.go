package roster

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

func TestOwnMetricsHaveAPortWhilePrometheusRuns(t *testing.T) {
	on := []services.Effective{{Definition: services.Definition{Name: "prometheus"}}}
	off := []services.Effective{{Definition: services.Definition{Name: "prometheus"}, Disabled: true}}
	silent, said := &Roster{}, &Roster{Site: Site{Metrics: Metrics{Listen: keys.Address("0.0.0.0:9091")}}}
	require.Empty(t, silent.ownMetrics(off))
	require.Empty(t, said.ownMetrics(on), "the site has said where")

	book := addressBook{Addresses: map[string]addressEntry{}}
	_, err := book.assign(silent.ownMetrics(on), func(port int) bool { return port != ownMetricsPort })
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:20000", book.plain()[ownMetricsKey], "another port when 9464 is taken")
}

func TestScrapedIsReachableFromThisMachine(t *testing.T) {
	for listen, want := range map[string]string{
		"": "", ":9091": "127.0.0.1:9091", "0.0.0.0:9091": "127.0.0.1:9091", "[::]:9091": "127.0.0.1:9091", "10.0.0.7:9091": "10.0.0.7:9091",
	} {
		require.Equal(t, want, scraped(listen), listen)
	}
}
