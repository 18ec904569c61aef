package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func TestStatusOfAReadyProduct(t *testing.T) {
	a := demo().begin(t)
	got := a.run("status")
	require.Equal(t, exitOK, got.code, got.progress)
	require.Equal(t, `demo-1.0.0 answers at http://127.0.0.1:7080, running for 2h; no backup yet

SERVICE      STATE  SINCE  MEMORY            CPU   RESTARTS
postgres     ready  3m     12 MiB / 1.0 GiB  1.3s
frontend     ready  3m     12 MiB / 1.0 GiB  1.3s
gitserver/0  ready  3m     12 MiB / 1.0 GiB  1.3s
gitserver/1  ready  3m     12 MiB / 1.0 GiB  1.3s

Here: limits by resource watching; all services under one user
  cgroups are read only
`, got.out)
	require.Empty(t, got.progress)
	require.Equal(t, exitWarnings, a.run("status", "--strict").code)
}

func TestStatusSaysWhyItIsNotReady(t *testing.T) {
	a := demo()
	last := ago(49 * time.Hour)
	a.status.Appliance.Ready, a.status.Appliance.LastBackup, a.status.Appliance.SetupURL = false, &last, "http://h/?setup=x"
	st := a.status.Services
	st[0].State, st[0].Wanted, st[0].StoppedBy, st[0].PID = api.Stopped, false, "uid 0: sourcegraph stop postgres", 0
	st[1].State, st[1].WaitingFor, st[1].PID = api.Waiting, []string{"postgres"}, 0
	st[2].State, st[2].Reason, st[2].Restarts = api.Backoff, "signal KILL", 4
	st[3].State, st[3].Wanted, st[3].PID = api.Stopped, false, 0
	a.begin(t)
	got := a.run("status")
	require.Equal(t, exitNotRight, got.code)
	require.Equal(t, `demo-1.0.0 does not answer yet at http://127.0.0.1:7080: 0 of 3 services are ready; last backup 2d ago
Make the first administrator at http://h/?setup=x

SERVICE      STATE    SINCE  MEMORY            CPU   RESTARTS
postgres     stopped  3m                                       stopped by uid 0: sourcegraph stop postgres
frontend     waiting  3m                                       waits for postgres
gitserver/0  backoff  3m     12 MiB / 1.0 GiB  1.3s  4         signal KILL
gitserver/1  stopped  3m                                       disabled

Here: limits by resource watching; all services under one user
  cgroups are read only
`, got.out)
	require.Equal(t, exitNotRight, a.run("status", "postgres").code, "an operator stopped it")
	require.Equal(t, exitOK, a.run("status", "gitserver/1").code, "disabled: as it should be")
}

func TestStatusSaysWhatIsElsewhere(t *testing.T) {
	a := demo()
	st := a.status.Services
	for i := range 3 {
		st[i].Kind, st[i].PID = "external", 0
	}
	st[0].Addresses = map[string]string{"sg": "db:5432", "codeintel": "db:5432", "codeinsights": "other:5432"}
	st[1].State, st[1].Reason, st[1].Addresses = api.Degraded, "Redis at cache:6379: connection refused", map[string]string{"redis": "cache:6379"}
	st[2].Addresses = nil
	a.begin(t)
	got := a.run("status").out
	require.Contains(t, got, "  elsewhere, at db:5432, other:5432\n")
	require.Contains(t, got, "  Redis at cache:6379: connection refused\n")
	require.Contains(t, got, "  elsewhere\n")
}

func TestStatusInJSONIsOneDocument(t *testing.T) {
	a := demo().begin(t)
	got := a.run("status", "gitserver", "--json")
	require.Equal(t, exitOK, got.code)
	var st api.Status
	require.NoError(t, json.Unmarshal([]byte(got.out), &st))
	require.Len(t, st.Services, 2)
}

func TestExitCodes(t *testing.T) {
	a := demo().begin(t)
	for name, tc := range map[string]struct {
		err  error
		args []string
		want int
	}{
		"success":          {nil, []string{"status"}, exitOK},
		"internal":         {&api.Error{Code: 1, Message: "broken"}, []string{"status"}, exitInternal},
		"unknown service":  {nil, []string{"why", "nope"}, exitUsage},
		"not as it should": {&api.Error{Code: 3, Message: "no"}, []string{"restart", "postgres"}, exitNotRight},
		"warnings":         {nil, []string{"reload", "--strict"}, exitWarnings},
		"warnings ignored": {nil, []string{"reload"}, exitOK},
		"inconclusive":     {&api.Error{Code: 5, Message: "unknown"}, []string{"status"}, exitInconclusive},
		"refused":          {&api.Error{Code: 6, Message: "not yours"}, []string{"status"}, exitRefused},
	} {
		t.Run(name, func(t *testing.T) {
			a.mu.Lock()
			a.err = tc.err
			a.mu.Unlock()
			got := a.run(tc.args...)
			require.Equal(t, tc.want, got.code, got.progress)
		})
	}
	got := runHere("status", "--run-dir", t.TempDir())
	require.Equal(t, exitNoAppliance, got.code)
	require.Contains(t, got.progress, "no appliance answers at")
	require.Contains(t, got.progress, "\n  start one with: sourcegraph run")
}

func TestErrorsInJSONAreTheDocument(t *testing.T) {
	got := demo().begin(t).run("why", "nope", "--json")
	require.Equal(t, exitUsage, got.code)
	require.JSONEq(t, `{"code":2,"error":"there is no service \"nope\"","remedy":"use another"}`, got.out)
	require.Contains(t, got.progress, "sourcegraph: there is no service")
}

func TestWait(t *testing.T) {
	require.Equal(t, exitNoAppliance, runHere("wait", "--timeout", "50ms", "--run-dir", t.TempDir()).code)

	a := demo().begin(t)
	require.Equal(t, exitOK, a.run("wait").code)
	require.Equal(t, exitOK, a.run("wait", "gitserver/1", "--for=ready").code)
	got := a.run("wait", "frontend", "--for", "stopped", "--timeout", "50ms")
	require.Equal(t, exitNotRight, got.code)
	require.Contains(t, got.progress, "not stopped in time: frontend (ready)")
	require.Equal(t, exitUsage, a.run("wait", "nope").code)
}

func TestWaitForAnApplianceThatDoesNotAnswerYet(t *testing.T) {
	a := demo()
	a.dir = t.TempDir()
	ended := make(chan said, 1)
	go func() { ended <- a.run("wait", "--timeout", "30s") }()
	a.answer(t)
	require.Equal(t, exitOK, (<-ended).code)
}

func TestWaitForTheEnd(t *testing.T) {
	a := demo().begin(t)
	ended := make(chan said, 1)
	go func() { ended <- a.run("wait", "--for", "stopped", "--timeout", "30s") }()
	require.Eventually(t, func() bool { return len(ended) == 0 }, time.Second, time.Millisecond)
	a.mu.Lock()
	for i := range a.status.Services {
		a.status.Services[i].State = api.Stopped
	}
	a.mu.Unlock()
	require.Equal(t, exitOK, (<-ended).code)
}
