package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// TestOverrideRunsAnOwnBuild is an engineer at work: a searcher of one's own in a directory that the service's user cannot enter, built again
// while it runs, taken by a restart, and by a reload.
func TestOverrideRunsAnOwnBuild(t *testing.T) {
	t.Parallel()
	a := install(t)
	home := filepath.Join(a.dir, "home")
	require.NoError(t, os.Mkdir(home, 0o700))
	own := filepath.Join(home, "my-searcher")
	built := func(version string) {
		t.Helper()
		require.NoError(t, compile(own, version, "./cmd/demo"))
	}
	runs := func() []byte {
		t.Helper()
		s := a.service("searcher")
		require.Equal(t, api.Ready, s.State)
		require.Equal(t, "override", s.Source)
		content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.PID), "exe"))
		require.NoError(t, err)
		return content
	}
	mine := func() []byte {
		t.Helper()
		content, err := os.ReadFile(own)
		require.NoError(t, err)
		return content
	}
	same := func() bool { return string(runs()) == string(mine()) }

	built("1.0.1")
	a.up("--override", "searcher="+own)
	needles := a.stockRunning()
	require.True(t, same())
	require.Contains(t, a.out.String(), "searcher is an override")
	chain, err := a.client.Why(context.Background(), "searcher")
	require.NoError(t, err)
	require.Contains(t, chain[0].Evidence["override"], own)

	built("1.0.2")
	require.False(t, same(), "what runs is not written over")
	_, before := a.status()
	op, err := a.client.Restart(context.Background(), []string{"searcher"})
	require.NoError(t, err)
	require.Empty(t, op.NotReady)
	require.True(t, same(), "a restart takes the new build")
	change, err := a.client.Reload(context.Background())
	require.NoError(t, err)
	require.Empty(t, change.Restarted, "it is the same build")

	built("1.0.3")
	change, err = a.client.Reload(context.Background())
	require.NoError(t, err)
	require.Equal(t, []string{"searcher"}, change.Restarted)
	a.ready()
	require.True(t, same(), "a reload takes the new build")

	require.NoError(t, os.WriteFile(own, []byte("half a build"), 0o755))
	_, err = a.client.Restart(context.Background(), []string{"searcher"})
	require.ErrorContains(t, err, "is neither a Linux program nor a script")
	a.answers("needle count:all", needles)
	_, after := a.status()
	require.Equal(t, before["frontend"].PID, after["frontend"].PID)
	require.Equal(t, 0, a.stop(), a.out)
}
