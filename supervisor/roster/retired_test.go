package roster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReplicasBelowWhatHoldsStateAreRefused, with the instance, its directory, its size and what to do, until the site says that it may lie there.
func TestReplicasBelowWhatHoldsStateAreRefused(t *testing.T) {
	s := newSite(t, map[string]string{"services.d/own.yaml": "own:\n  command: [/bin/true]\n  replicas: 1\n"})
	write := func(text string) {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, "etc/services.d/own.yaml"), []byte(text), 0o644))
	}
	require.NotEmpty(t, s.load().Plan.Instances)
	home := filepath.Join(s.opts.DataDir, "shared", "home", "own")
	require.NoError(t, os.MkdirAll(filepath.Join(home, "1", "empty"), 0o755))
	require.NotEmpty(t, s.load().Plan.Instances, "nothing is in it")

	require.NoError(t, os.MkdirAll(filepath.Join(home, "2"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(home, "2", "data"), make([]byte, 1500), 0o644))
	for _, dry := range []bool{true, false} { // config check, and apply
		s.opts.DryRun = dry
		_, err := Load(s.opts)
		require.Equal(t, CodeInvalid, code(err))
		require.EqualError(t, err, filepath.Join(s.dir, "etc/services.d/own.yaml")+":3:3: services.own.replicas: 1 leaves out own/2, whose directory "+home+"/2 holds 1.5 kB that no other replica has")
		require.Equal(t, "move what is in it to where it is wanted and empty the directory, or say that it may lie there unused, with services.own.retired: [2]", hintOf(err))
	}
	write("own: {command: [/bin/true], replicas: 1, retired: [2]}\n")
	require.NotEmpty(t, s.load().Plan.Instances)
	write("own: {command: [/bin/true], replicas: 3, retired: [2]}\n")
	_, err := Load(s.opts)
	require.ErrorContains(t, err, "services.own.retired: 2 is the number of a replica that runs: take it off the list")
	write("own: {command: [/bin/true], replicas: 3}\n")
	require.NotEmpty(t, s.load().Plan.Instances)
}

// TestWhatMovesByItselfIsNoObstacle: gitserver clones again, and its home is written from the site's files.
func TestWhatMovesByItselfIsNoObstacle(t *testing.T) {
	s := newSite(t, nil)
	s.release("1.0.0", nil)
	for _, dir := range []string{"shared/repos/1", "data/gen-1/gitserver-home/1"} {
		require.NoError(t, os.MkdirAll(filepath.Join(s.opts.DataDir, dir), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(s.opts.DataDir, dir, "file"), nil, 0o644))
	}
	require.NotEmpty(t, s.load().Plan.Instances)
}
