package supervisor

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/users"
)

// TestRecordsKeepWhatTheNextSupervisorNeeds: a view that goes through a run record comes back as it was.
func TestRecordsKeepWhatTheNextSupervisorNeeds(t *testing.T) {
	book, err := users.Open(t.TempDir()+"/users", "test", users.OneUser)
	require.NoError(t, err)
	h := &Host{bootID: "boot", users: book, planHash: func() string { return "plan" }}
	now := time.Now().UTC().Truncate(time.Millisecond)
	for _, v := range []engine.View{
		{Name: "a", State: api.Ready, Since: now, Wanted: true, PID: os.Getpid(), Run: 7, Restarts: 2, ReadySince: now, Alive: true, InstanceSum: "h",
			LastExit: &api.Exit{At: api.Time{Time: now}, Cause: api.CauseSignal, Signal: "KILL"}},
		{Name: "a", State: api.Backoff, Since: now, Wanted: true, Run: 3, Until: now.Add(time.Second), Streaks: map[string]int{"crash": 3}, Reason: "exited with status 2",
			LastExit: &api.Exit{At: api.Time{Time: now}, Cause: api.CauseExit, Code: 2}},
		{Name: "a", State: api.Stopped, Since: now, StoppedBy: "uid 0: stop a", Run: 3},
		{Name: "a", State: api.Stopped, Since: now, Reason: "disabled"},
		{Name: "a", State: api.Stopping, Since: now, StoppedBy: "uid 0: stop a", Run: 3, Alive: true, Ordered: true},
		{Name: "a", State: api.Stopping, Since: now, Wanted: true, Run: 3, Alive: true},
		{Name: "a", State: api.Ready, Since: now, Wanted: true, Run: 1, Completed: true, Reason: "completed", ReadySince: now},
	} {
		u := &unit{name: "a", inst: inst("a", 0, 0), view: v}
		u.inst.User = "nobody"
		require.Equal(t, v, viewOf(h.recordOf(u, nil)))
	}
}
