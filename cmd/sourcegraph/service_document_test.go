package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

func TestServicesShowTellsProbesPortsAndVariants(t *testing.T) {
	document := func(defs []services.Definition, name string) definitionDocument {
		i := slices.IndexFunc(defs, func(d services.Definition) bool { return d.Name == name })
		require.GreaterOrEqual(t, i, 0, name)
		return documentOf(defs[i])
	}
	worker := document(services.Of("sourcegraph", "5.2.7"), "worker")
	require.Equal(t, "http /ready on debug, every 10s, 3 misses of 5s", worker.Ready)
	require.Equal(t, map[string]string{"http": "all interfaces", "executors": "all interfaces"}, worker.Open)
	require.Contains(t, worker.Beside["blobstore"], "PRECISE_CODE_INTEL_UPLOAD_BACKEND")
	require.Empty(t, worker.Variants)
	require.Equal(t, "INSECURE_DEV", document(services.Of("sourcegraph", "3.38.0"), "worker").Open["http"])

	postgres := document(services.All(), "postgres")
	require.Equal(t, "postgres on postgres, every 10s, 3 misses of 5s", postgres.Ready)
	require.Contains(t, postgres.Live, "none: a kill costs a crash recovery")
	require.NotEmpty(t, document(services.All(), "searcher").Variants)
	require.NotEmpty(t, document(services.All(), "embeddings").Optional)

	require.Contains(t, worker.Outbound, destinationDocument{"telemetry-gateway.sourcegraph.com", "figures of use", "offline", []string{"sourcegraph from 5.2"}})
	require.Empty(t, postgres.Outbound)
	for _, to := range document(services.Of("sourcegraph", "3.38.0"), "worker").Outbound {
		require.NotContains(t, to.To, "telemetry", "it came later")
	}
}
