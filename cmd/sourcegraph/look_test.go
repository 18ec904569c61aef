package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func TestWhyShowsTheChain(t *testing.T) {
	a := demo()
	a.chain = []api.Link{
		{Service: "frontend", State: api.Waiting, Message: "frontend is waiting: for postgres", At: ago(5 * time.Second)},
		{
			Service: "postgres", CauseOf: "frontend", State: api.Failed, Message: "postgres is failed", Evidence: map[string]string{"last_exit": "exec", "a": "\x1b[31m"},
			LastLog: []string{"FATAL:\x07 no"}, Next: "sourcegraph logs postgres",
		},
	}
	a.begin(t)
	require.Equal(t, said{out: `frontend is waiting: for postgres (for 5s)
because postgres is failed
  a: \x1b[31m
  last exit: exec
  its last lines:
    FATAL:\x07 no
  next: sourcegraph logs postgres
`}, a.run("why", "frontend"))
}

func TestWhyOfSeveralReplicasInventsNoCause(t *testing.T) {
	a := demo()
	a.chain = []api.Link{{Service: "gitserver/0", State: api.Ready, Message: "gitserver/0 is ready"}, {Service: "gitserver/1", State: api.Ready, Message: "gitserver/1 is ready"}}
	a.begin(t)
	require.Equal(t, said{out: "gitserver/0 is ready\ngitserver/1 is ready\n"}, a.run("why", "gitserver"))
}

func at(text string) api.Time {
	t, _ := time.ParseInLocation("2006-01-02 15:04:05.000", text, time.Local)
	return api.Time{Time: t}
}

func TestE48LogLinesCannotDriveTheTerminal(t *testing.T) {
	a := demo()
	a.logs = []api.LogLine{
		{At: at("2026-01-02 03:04:05.678"), Service: "gitserver/1", Text: "a\x1b[2Jb\rc", Level: "error"},
		{At: at("2026-01-02 03:04:05.679"), Service: "frontend", Text: "long", Cut: true},
	}
	a.begin(t)
	require.Equal(t, said{out: "2026-01-02 03:04:05.678 gitserver/1 | a\\x1b[2Jb\\rc\n2026-01-02 03:04:05.679 frontend | long …\n"},
		a.run("logs", "-n5", "gitserver", "--grep", "x+", "--level=warn"))
	require.Equal(t, []string{"gitserver"}, a.query.Services)
	require.Equal(t, []any{5, "x+", "warn", false}, []any{a.query.Limit, a.query.Grep, a.query.Level, a.query.Follow})
	require.Equal(t, 2, strings.Count(a.run("logs", "--json").out, "\n"), "one object a line")
}

func TestFollowerGoesOnWithTheNextSupervisor(t *testing.T) {
	a := demo()
	one := api.LogLine{At: at("2026-01-02 03:04:05.678"), Service: "frontend", Text: "same"}
	later := api.LogLine{At: at("2026-01-02 03:04:05.679"), Service: "frontend", Text: "after"}
	a.logs = []api.LogLine{one, one, later} // the first supervisor ends before the last line
	a.begin(t)
	got := a.run("logs", "-f")
	require.Equal(t, exitRefused, got.code, got.progress) // how the fake ends it
	require.Equal(t, "2026-01-02 03:04:05.678 frontend | same\n2026-01-02 03:04:05.678 frontend | same\n2026-01-02 03:04:05.679 frontend | after\n", got.out)
}

func TestEventsSayCauseAndActor(t *testing.T) {
	a := demo()
	a.events = []api.Event{
		{At: at("2026-01-02 03:04:05.678"), Kind: "command", Message: "stop x", Actor: "uid 0: sourcegraph stop x"},
		{At: at("2026-01-02 03:04:05.679"), Service: "x", Kind: "state", From: api.Ready, To: api.Backoff, Cause: "signal", CausedBy: "y", Message: "died"},
	}
	a.begin(t)
	require.Equal(t, said{out: `2026-01-02 03:04:05.678 appliance | command, stop x, by uid 0: sourcegraph stop x
2026-01-02 03:04:05.679 x | ready → backoff, died, cause signal, because of y
`}, a.run("events"))
}

func TestMoments(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"now": now, "today": time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), "yesterday": time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC),
		"2026-01-02": time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), "2026-01-02 03:04": time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC),
		"2026-01-02 03:04:05": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "2026-01-02T03:04:05+01:00": time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC),
		"03:04": time.Date(2026, 3, 4, 3, 4, 0, 0, time.UTC), "1h ago": now.Add(-time.Hour), "10 min ago": now.Add(-10 * time.Minute),
		"-1h30m": now.Add(-90 * time.Minute), "1h": now.Add(-time.Hour), "2 days ago": now.Add(-48 * time.Hour), "1h 5 s ago": now.Add(-time.Hour - 5*time.Second),
	} {
		got, err := moment(in, now)
		require.NoError(t, err, in)
		require.True(t, want.Equal(got), "%s: %s", in, got)
	}
	for _, in := range []string{"", "ago", "tomorrowish", "5", "5 lightyears ago", "2026-13-01", "999999999w 999999999w ago"} {
		_, err := moment(in, now)
		require.Error(t, err, in)
	}
}

func TestTopComparesTwoLooks(t *testing.T) {
	before := demo().status
	now := demo().status
	now.Services[1].CPUSeconds += 0.5
	now.Services[2].MemoryBytes = 99 << 20
	now.Services[3].CPUSeconds, now.Services[3].Run = 0.1, 2 // another run
	list := uses(before, now, time.Second, "cpu")
	require.Equal(t, "frontend", list[0].Service)
	require.InDelta(t, 50, list[0].CPUPercent, 0.001)
	require.Zero(t, list[3].CPUPercent)
	require.Equal(t, "gitserver/0", uses(before, now, time.Second, "memory")[0].Service)
}

func TestColourOnlyWhereAsked(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, colour: true}
	s.table([][]cell{{{"a", red}, {"long", ""}, {"", ""}}, {{"bcd", ""}, {"x", green}, {"end", ""}}})
	require.Equal(t, "\x1b[31ma\x1b[0m    long\nbcd  \x1b[32mx\x1b[0m     end\n", out.String(), "colour has no width")
	require.NotContains(t, demo().begin(t).run("status").out, "\x1b", "a pipe gets none")
}

func TestWords(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 12 << 20: "12 MiB", 1<<30 - 1: "1.0 GiB", 5 << 50: "5.0 PiB"} {
		require.Equal(t, want, size(n))
	}
	for d, want := range map[time.Duration]string{-1: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 47 * time.Hour: "47h", 72 * time.Hour: "3d"} {
		require.Equal(t, want, age(d))
	}
}

func TestServicesAndConfigNeedNoAppliance(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "appliance.yaml")
	dropIn := filepath.Join(filepath.Dir(conf), "services.d")
	require.NoError(t, os.Mkdir(dropIn, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dropIn, "hello.yaml"), []byte("hello:\n  command: [/bin/true]\n  stop: {grace: 3s}\n"), 0o644))
	here := func(args ...string) said {
		return runHere(append(args, "--config", conf, "--data", "/nonexistent/sg")...)
	}

	require.Contains(t, here("services", "list").out, "gitserver")
	require.Contains(t, here("services", "list").out, "hello", "the site's own, too")
	require.Contains(t, here("services", "graph", "--format", "dot", "--release-version", "demo-1.0.0").out, `"gitserver" -> "frontend";`)
	require.Equal(t, exitUsage, here("services", "graph", "--format", "svg").code)
	require.Contains(t, here("services", "show", "postgres").out, "data       postgres data/gen-{{ .Generation }}/postgres")

	got := here("config", "check", "--release", "none")
	require.Equal(t, said{out: "the configuration is valid: 1 instances of services\n"}, got)
	require.Contains(t, here("config", "show", "--release", "none").out, "grace: 3s")
	require.NoError(t, os.WriteFile(conf, []byte("lisen: :1\nservices: {hello: {stop: {grce: 1s}}}\n"), 0o644))
	got = here("config", "check", "--release", "none")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.progress, conf+":1:1", "every fault with its place")
	require.Contains(t, got.progress, conf+":2:")
	require.NoDirExists(t, "/nonexistent")
}

func TestVersion(t *testing.T) {
	require.JSONEq(t, `{"version":"0.0.0-dev","running":"1.2.3","release":"demo-1.0.0"}`, demo().begin(t).run("version", "--json").out)
	require.Equal(t, said{out: "sourcegraph 0.0.0-dev\n"}, runHere("version", "--run-dir", t.TempDir()))
}

func TestCompletion(t *testing.T) {
	a := demo().begin(t)
	for _, tc := range []struct {
		words []string
		want  string
	}{
		{[]string{"sta"}, "status\nstart\n"},
		{[]string{"services", "sh"}, "show\n"},
		{[]string{"stop", "--dr"}, "--dry-run\n"},
		{[]string{"--run-dir=" + a.dir, "why", "g"}, "gitserver\ngitserver/0\ngitserver/1\n"},
		{[]string{"completion", "z"}, "zsh\n"},
		{[]string{"exec", "gitserver", "--", "l"}, ""},
		{[]string{"--data"}, "--data\n"},
		{[]string{"--data", ""}, ""},
	} {
		require.Equal(t, said{out: tc.want}, runHere(append([]string{completeWord}, tc.words...)...), tc.words)
	}
	require.Contains(t, runHere(completeWord, "--run-dir="+t.TempDir(), "why", "g").out, "gitserver\n", "without an appliance: what is defined")
}

func TestCompletionScriptsAreShell(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			script := runHere("completion", shell)
			require.Equal(t, exitOK, script.code)
			if _, err := exec.LookPath(shell); err != nil {
				t.Skipf("%s is not installed", shell)
			}
			check := exec.Command(shell, "-n")
			check.Stdin = strings.NewReader(script.out)
			out, err := check.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}

func TestRecordedCommandLineHasNoArgumentsOfPrograms(t *testing.T) {
	require.Equal(t, "sourcegraph exec postgres -- psql …", recorded([]string{"/x/y", "exec", "postgres", "--", "psql", "password"}))
	require.Equal(t, "sourcegraph stop a", recorded([]string{"/x/y", "stop", "a"}))
}
