package store

import (
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCompactionsFollowEachOtherWithoutATicker holds both halves of the choice in pebbleOptions.
func TestCompactionsFollowEachOtherWithoutATicker(t *testing.T) {
	s := opened(t, filepath.Join(t.TempDir(), "store"), young)
	for i := range 20_000 {
		s.Append(event(i))
		if i%500 == 0 {
			require.NoError(t, s.Flush(t.Context())) // memory holds no more than that
		}
	}
	require.NoError(t, s.Flush(t.Context()))
	require.Zero(t, s.Stats().Dropped)
	require.Eventually(t, func() bool {
		m := s.db.Metrics()
		return m.Compact.Count > 1 && m.Compact.NumInProgress == 0 && m.Levels[0].Sublevels <= 2
	}, 30*time.Second, 10*time.Millisecond, "what has gathered is never merged")
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	require.NotContains(t, string(stacks), "periodicGranter", "something wakes up ten times a second")
}
