package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func TestDryRunNamesWhatWouldBeInterruptedAndDoesNothing(t *testing.T) {
	a := demo()
	a.status.Services[3].State = api.Stopped
	a.begin(t)
	got := a.run("stop", "frontend", "--dry-run")
	require.Equal(t, exitOK, got.code)
	require.Equal(t, `would be stopped: gitserver/0 (ready); while it is down, gitserver is missed
would be stopped: gitserver/1 (stopped)
would be stopped: frontend (ready); while it is down, frontend is missed
`, got.out)
	require.Equal(t, "would be started: gitserver/1 (stopped)\n", a.run("start", "gitserver", "--dry-run").out)
	require.Equal(t, "nothing to do\n", a.run("start", "postgres", "--dry-run").out)
	require.JSONEq(t, `{"dry_run":true,"affected":["gitserver/0"]}`, a.run("restart", "gitserver/0", "--dry-run", "--json").out)
	require.Contains(t, a.run("shutdown", "--dry-run").out, "would be stopped: postgres (ready)")
	require.Empty(t, a.asked)
}

func TestChangesSayWhatTheyDidAndHowItEnded(t *testing.T) {
	a := demo().begin(t)
	a.op = api.Operation{Affected: []string{"gitserver/0", "gitserver/1", "frontend"}}
	got := a.run("stop", "frontend")
	require.Equal(t, said{exitOK, "stopped: gitserver/0, gitserver/1, frontend\n", "stopping also what needs it: gitserver/0, gitserver/1\n"}, got)

	a.op = api.Operation{Affected: []string{"postgres"}, Killed: []string{"postgres"}, Messages: []string{"postgres was killed"}}
	require.Equal(t, said{exitNotRight, "stopped: postgres\n", "postgres was killed\n"}, a.run("stop"))

	a.op = api.Operation{Affected: []string{"frontend", "gitserver/1"}, NotReady: []string{"gitserver/1"}, Messages: []string{"gitserver/1 is failed: exec"}}
	require.Equal(t, said{exitNotRight, "started: frontend\n", "gitserver/1 is failed: exec\n  see: sourcegraph why gitserver/1\n"}, a.run("start", "gitserver/1"))

	require.Equal(t, said{exitOK, "restarted: worker\n", "warning: a warning\n"}, a.run("reload"))
	require.Equal(t, exitUsage, a.run("restart", "nope").code)
	require.Equal(t, []string{"stop[frontend]", "stop[]", "start[gitserver/1]", "reload[]"}, a.asked)
}

func TestShutdownWaitsForTheEnd(t *testing.T) {
	a := demo()
	a.status.Services[0].LastExit = &api.Exit{At: api.Time{Time: time.Now().Add(time.Hour)}, Cause: api.CauseStopped, Signal: "KILL"}
	a.begin(t)
	got := a.run("shutdown")
	require.Equal(t, "the appliance has ended\n", got.out)
	_, err := api.Dial(a.dir+"/admin.sock", "").Status(t.Context(), nil)
	require.Equal(t, exitNoAppliance, api.AsError(err).Code)
}

func TestWasKilled(t *testing.T) {
	began := time.Now()
	exit := func(cause api.Cause, signal string, at time.Time) api.Service {
		return api.Service{LastExit: &api.Exit{At: api.Time{Time: at}, Cause: cause, Signal: signal}}
	}
	require.True(t, wasKilled(exit(api.CauseStopped, "KILL", began.Add(time.Second)), began))
	require.False(t, wasKilled(exit(api.CauseStopped, "TERM", began.Add(time.Second)), began))
	require.False(t, wasKilled(exit(api.CauseSignal, "KILL", began.Add(time.Second)), began))
	require.False(t, wasKilled(exit(api.CauseStopped, "KILL", began.Add(-time.Hour)), began))
	require.False(t, wasKilled(api.Service{}, began))
}
