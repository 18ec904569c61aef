package supervisor_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhatLeftTheAcceptedPlanDoesNotRunOn: the supervisor dies in a reload, after the new plan was kept and before what left it was stopped.
func TestWhatLeftTheAcceptedPlanDoesNotRunOn(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("kept", "idle", "")
		a.service("gone", "mother", "") // with a helper in a session of its own
		a.run().awaitReady("kept", "gone")
		kept, gone := a.find("kept"), a.find("gone")

		a.editAccepted(func(insts []any) []any {
			return slices.DeleteFunc(insts, func(i any) bool { return i.(map[string]any)["Service"] == "gone" })
		})
		old := a.stage1(0)
		a.kill(old, syscall.SIGKILL)
		a.stage1(old)
		a.awaitReady("kept")
		require.Equal(t, kept.PID, a.find("kept").PID)
		require.Nil(t, a.find("gone"))
		a.until("it is dead", func() bool { return syscall.Kill(gone.PID, 0) != nil })
		a.until("nothing of it is left", func() bool { return len(a.roles()) == 1 }, func() any { return a.roles() })
		_, err := os.Stat(filepath.Join(a.data, "run", "instances", "gone.run"))
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}

// editAccepted changes the plan that the next life of the supervisor goes on with.
func (a *appliance) editAccepted(edit func(insts []any) []any) {
	a.t.Helper()
	file := filepath.Join(a.data, "run", "accepted.json")
	text, err := os.ReadFile(file)
	require.NoError(a.t, err)
	var accepted map[string]any
	require.NoError(a.t, json.Unmarshal(text, &accepted))
	plan := accepted["Plan"].(map[string]any)
	plan["Instances"] = edit(plan["Instances"].([]any))
	text, err = json.Marshal(accepted)
	require.NoError(a.t, err)
	require.NoError(a.t, os.WriteFile(file, text, 0o600))
}
