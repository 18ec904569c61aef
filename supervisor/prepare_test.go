package supervisor

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster"
)

// TestRestOfAPostgresIsWaitedFor: what the run before left ends by itself; data of another major version does not change by itself.
func TestRestOfAPostgresIsWaitedFor(t *testing.T) {
	require.NoError(t, checked(nil))
	for err, permanent := range map[error]bool{
		&roster.OtherServer{Dir: "/d", PID: 7}: false, &roster.OtherMajor{Dir: "/d", DirMajor: "12"}: true,
	} {
		ev := spawnFailed(newLife(1, services.Instance{Service: "postgres"}), checked(fmt.Errorf("start: %w", err)))
		require.Equal(t, permanent, ev.Permanent, err)
		require.NotEmpty(t, ev.Evidence["remedy"])
	}
}
