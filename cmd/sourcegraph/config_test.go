package main

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// newFiles is a configuration of the site's own services, and the flags that name it.
func newFiles(t *testing.T) (dir string, flags []string) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "services.d"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "appliance.yaml"), []byte("stop_timeout: 90s\nservices: {hello: {env: {A: b}}}\n"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "services.d", "hello.yaml"), []byte("hello: {command: [/bin/true]}\n"), 0o644))
	return dir, []string{"--data=" + filepath.Join(dir, "data"), "--run-dir=" + filepath.Join(dir, "run"), "--config=" + filepath.Join(dir, "appliance.yaml")}
}

func TestConfigIsShownAndExplained(t *testing.T) {
	dir, flags := newFiles(t)
	run := func(words ...string) said { return runHere(append(words, flags...)...) }
	shown := run("config", "show", "--release=none")
	require.Zero(t, shown.code, shown.progress)
	require.Contains(t, shown.out, "stop_timeout: 1m30s\n")
	require.Contains(t, shown.out, "            A: b\n")
	require.Contains(t, shown.out, "            grace: 10s\n")

	require.Equal(t, shown, run("config", "show"), "who only looks needs no release")

	explained := run("config", "explain", "hello.env.A", "--release=none")
	require.Zero(t, explained.code, explained.progress)
	require.Contains(t, explained.out, "value     b\n")
	require.Contains(t, explained.out, "origin    "+filepath.Join(dir, "appliance.yaml")+":2\n")
	require.Contains(t, explained.out, "changing  the service is restarted\n")
	require.Contains(t, run("config", "explain", "stop_timeout", "--release=none").out, "--stop-timeout and APPLIANCE_STOP_TIMEOUT win over the file")
	t.Setenv("APPLIANCE_STOP_TIMEOUT", "70s")
	require.Contains(t, run("config", "explain", "stop_timeout", "--release=none").out, "value     70s\norigin    environment variable APPLIANCE_STOP_TIMEOUT\n")
	wrong := run("config", "explain", "hello.evn.A", "--release=none")
	require.Equal(t, exitUsage, wrong.code)
	require.Contains(t, wrong.progress, "did you mean services.hello.env.A?")
	require.Contains(t, runHere("config", "schema").out, `"$schema": "https://json-schema.org/draft/2020-12/schema"`)
	require.Contains(t, runHere(completeWord, "config", "explain", "services.gitserver.rep").out, "services.gitserver.replicas\n")
}

func TestDiffIsSaidInTheFuture(t *testing.T) {
	a := demo().begin(t)
	for _, words := range [][]string{{"config", "diff"}, {"config", "apply", "--dry-run"}} {
		got := a.run(words...)
		require.Zero(t, got.code, got.progress)
		require.Equal(t, "would be changed: listen\nwould be restarted: gitserver/0\n", got.out)
	}
	require.Equal(t, exitUsage, a.run("config", "diff", "/not/there.yaml").code)
	require.Equal(t, "restarted: worker\n", a.run("config", "apply").out)
	require.Equal(t, []string{"reload[]"}, a.asked)
}

func TestStatusShowsWhatIsNotApplied(t *testing.T) {
	a := demo().begin(t)
	a.status.Appliance.Config = api.Config{State: api.ConfigChanged, Restart: []string{"worker"}, Setting: []string{"listen"}}
	require.Contains(t, a.run("status").out, "configuration changed, not applied: would restart worker; change listen; apply it with: sourcegraph config apply")
	a.status.Appliance.Config = api.Config{State: api.ConfigInvalid, Fault: "appliance.yaml:1:1: unknown key"}
	require.Contains(t, a.run("status").out, "the old one goes on:\n  appliance.yaml:1:1: unknown key")
}

// TestStopTimeoutOfTheFileCounts: flag, then variable, then file, then default.
func TestStopTimeoutOfTheFileCounts(t *testing.T) {
	_, flags := newFiles(t)
	require.Equal(t, 90*time.Second, stopTimeoutOf(t, flags...))
	require.Equal(t, 70*time.Second, stopTimeoutOf(t, append(flags, "--stop-timeout=70s")...))
	require.Equal(t, 180*time.Second, stopTimeoutOf(t, flags[:2]...))
}

func stopTimeoutOf(t *testing.T, args ...string) (got time.Duration) {
	t.Helper()
	set := flag.NewFlagSet("run", flag.ContinueOnError)
	for _, f := range append(commonFlags(), runCommand().Flags...) {
		require.NoError(t, f.Apply(set))
	}
	require.NoError(t, set.Parse(args))
	o, err := runOptions(cli.NewContext(cli.NewApp(), set, nil))
	require.NoError(t, err)
	return o.StopTimeout
}
