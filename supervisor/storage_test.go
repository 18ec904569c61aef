package supervisor_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStorageOfLogs: they are written and read where the key says, and the next start goes by a changed one.
func TestStorageOfLogs(t *testing.T) {
	a := newAppliance(t)
	a.service("idle", "idle", "")
	for _, dir := range []string{"elsewhere", "and-elsewhere"} {
		require.NoError(t, os.WriteFile(a.file("appliance.yaml"), []byte("storage: {logs: "+a.file(dir)+"}\n"), 0o644))
		a.run().awaitReady("idle")
		a.until("its line is read", func() bool { return a.logged("idle", "idle begins") })
		content, err := os.ReadFile(a.file(dir) + "/idle/current")
		require.NoError(t, err)
		require.Contains(t, string(content), "idle begins")
		require.Equal(t, 0, a.term())
	}
	require.NoDirExists(t, a.data+"/logs")
}
