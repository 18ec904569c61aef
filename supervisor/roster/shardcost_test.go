package roster

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

func TestShardCosts(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		clone := filepath.Join(dir, "0", fmt.Sprint("h/r", i), ".git", "objects")
		require.NoError(t, os.MkdirAll(clone, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(clone, "pack"), make([]byte, 500_000), 0o644))
	}
	plan := func(n int) services.Plan {
		p := services.Plan{Product: "demo"}
		for i := range n {
			data := []services.Data{{Path: filepath.Join(dir, fmt.Sprint(i)), Class: services.DataCache, Identity: "the address"}}
			p.Instances = append(p.Instances, services.Instance{Service: "gitserver", Number: i, Replicas: n, Data: data})
		}
		return p
	}
	require.Equal(t, []string{"gitserver 1 → 3: about 67 % of 3 repositories (1.5 MB) move to another gitserver; searches are answered meanwhile"}, ShardCosts(plan(1), plan(3)))
	require.Equal(t, []string{"gitserver 2 → 1: about 50 % of 3 repositories (1.5 MB) are cloned again from the code hosts, and not found until then; what lies in " + dir + "/1 stays there, unused"},
		ShardCosts(plan(2), plan(1)))
	require.Empty(t, ShardCosts(plan(2), plan(2)))

	var h holding
	h.measure(filepath.Join(dir, "0"), time.Now().Add(-time.Second))
	require.Equal(t, "at least 0 bytes", h.String())
}
