package image_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// needles is how often the sample repository has the word.
const needles = 3

// sample is a bare repository that anybody may read.
func sample(t *testing.T) string {
	t.Helper()
	work, bare := t.TempDir(), filepath.Join(t.TempDir(), "sample.git")
	require.NoError(t, os.WriteFile(filepath.Join(work, "hay.go"), []byte("package hay\n\nfunc needle() { needle() }\n\n// needle\n"), 0o644))
	for _, args := range [][]string{
		{"-C", work, "init", "-q", "-b", "main"},
		{"-C", work, "add", "-A"},
		{"-C", work, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", "hay"},
		{"clone", "-q", "--bare", work, bare},
	} {
		out, err := exec.Command("git", args...).CombinedOutput()
		require.NoError(t, err, "git %v: %s", args, out)
	}
	require.NoError(t, exec.Command("chmod", "-R", "a+rX", bare).Run())
	return bare
}

// used is a ready container with an administrator and a repository that is searched.
func used(t *testing.T, volume string, options ...string) *container {
	t.Helper()
	c := run(t, volume, options...).ready()
	c.administrator()
	c.add(sample(t))
	c.finds("needle count:all", needles)
	return c
}

// TestImageKeepsEverythingInTheVolume: a search is answered; a new container on the same volume has the users, tokens and repositories.
func TestImageKeepsEverythingInTheVolume(t *testing.T) {
	v := volume(t)
	c := used(t, v)
	require.Equal(t, "soft", c.status().Appliance.Grade.Limits, "an unprivileged container may not write cgroups, and nothing else is claimed")
	require.NotEmpty(t, c.status().Appliance.Grade.Why)
	require.Equal(t, "full", c.status().Appliance.Grade.Isolation)
	require.Contains(t, docker(t, "exec", c.id, "sourcegraph", "status"), "postgres")
	for _, service := range []string{"postgres", "redis-store", "frontend", "gitserver", "searcher", "worker"} {
		require.Contains(t, c.logs(), "\n"+service+" | ", "docker logs shows the lines of %s", service)
	}
	require.Eventually(t, func() bool { return c.inspect("{{.State.Health.Status}}") == "healthy" }, enough, 100*time.Millisecond)
	c.remove() // docker rm -f: a kill

	again := run(t, v).ready()
	again.token = c.token
	require.Equal(t, "root", again.whoami())
	again.finds("needle count:all", needles)
	require.Empty(t, again.status().Appliance.SetupURL, "there is an administrator")
	again.stop()
}

// TestImageUnderRestrictions is E60 to E63: any uid of group 0, no capabilities, a read-only root, a foreign process 1, a terminal.
func TestImageUnderRestrictions(t *testing.T) {
	for _, options := range []string{
		"--user 12345:0",
		"--user 12345:0 --init",
		"--user 12345:0 --read-only --cap-drop ALL",
		"--user 12345:0 --read-only --cap-drop ALL --security-opt no-new-privileges --network none --init",
		"--init",
		"-t",
	} {
		t.Run(strings.ReplaceAll(options, " ", "_"), func(t *testing.T) {
			if strings.Contains(options, "--network none") {
				offline(t, strings.Fields(options))
				return
			}
			c := used(t, volume(t), strings.Fields(options)...)
			isolation := "full"
			if strings.Contains(options, "--user") {
				isolation = "partial"
			}
			require.Equal(t, isolation, c.status().Appliance.Grade.Isolation)
			c.stop()
			if strings.Contains(options, "--read-only") {
				require.Empty(t, docker(t, "diff", c.id))
			}
		})
	}
}

// offline has no network to be reached through: the commands inside say that it is ready.
func offline(t *testing.T, options []string) {
	c := run(t, volume(t), options...)
	docker(t, "exec", c.id, "sourcegraph", "wait", "--timeout", enough.String())
	require.True(t, c.status().Appliance.Ready)
	c.stop()
}

// TestImageE62RootWithoutCapabilities: services could neither be separated nor stopped, so it refuses, with the remedy.
func TestImageE62RootWithoutCapabilities(t *testing.T) {
	c := run(t, volume(t), "--cap-drop", "ALL")
	require.Equal(t, 2, c.exit())
	require.Contains(t, c.logs(), "--user 10001:0")
}

// TestImageE61LimitsByTheKernel: given the cgroups it uses them, below the container's own group, and leaves nothing there.
func TestImageE61LimitsByTheKernel(t *testing.T) {
	grade := "v1"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		grade = "v2"
	}
	c := run(t, volume(t), "--cap-add", "SYS_ADMIN", "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw").ready()
	require.Equal(t, grade, c.status().Appliance.Grade.Limits)
	if grade == "v1" {
		found, err := filepath.Glob("/sys/fs/cgroup/memory/*/" + c.id + "/sourcegraph-*/postgres-*/memory.limit_in_bytes")
		require.NoError(t, err)
		require.Len(t, found, 1, "PostgreSQL's group is below the container's, whose own limit holds, too")
	}
	c.stop()
	left, err := filepath.Glob("/sys/fs/cgroup/*/*/" + c.id)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestImageE53KilledContainerComesBackClean: with process 1 everything dies at once; the next start finds nothing amiss.
func TestImageE53KilledContainerComesBackClean(t *testing.T) {
	c := used(t, volume(t))
	docker(t, "kill", "-s", "KILL", c.id)
	require.Equal(t, 137, c.exit())
	docker(t, "start", c.id)
	c.ready()
	require.Equal(t, "root", c.whoami())
	c.finds("needle count:all", needles)
	c.stop()
}

// TestImageE15Hangup: HUP reloads and restarts nothing, under a terminal as well, which is still there.
func TestImageE15Hangup(t *testing.T) {
	for _, options := range [][]string{nil, {"-t"}} {
		t.Run(strings.Join(options, ""), func(t *testing.T) {
			c := run(t, volume(t), options...).ready()
			before := c.status().Services
			docker(t, "kill", "-s", "HUP", c.id)
			require.Eventually(t, func() bool { return strings.Contains(c.logs(), "reload") }, enough, 50*time.Millisecond)
			require.Equal(t, before, c.status().Services)
			c.stop()
		})
	}
}
