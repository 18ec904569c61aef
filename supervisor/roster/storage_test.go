package roster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStorageThatIsRefused(t *testing.T) {
	s := newSite(t, map[string]string{"appliance.yaml": ""})
	s.release("1.0.0", nil)
	file := filepath.Join(s.dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	foreign := filepath.Join(s.dir, "foreign")
	require.NoError(t, os.MkdirAll(foreign, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(foreign, markName), []byte("storage.repos of "+s.dir+"\n"), 0o644))
	require.NoError(t, os.Symlink(s.dir, filepath.Join(s.dir, "link")))
	for said, want := range map[string]string{
		"{repos: DIR/a, index: DIR/a}":                     "storage.index and storage.repos are the same directory",
		"{repos: DIR/a, index: DIR/link/a}":                "lies in",
		"{repos: DIR/a, repos_shards: {1: DIR/a}}":         "storage.repos and storage.repos_shards.1 are the same directory",
		"{database: DIR/a/b, cache: DIR/a}":                "storage.database: DIR/a/b lies in storage.cache, DIR/a",
		"{repos: DIR/data/shared/repos}":                   "storage.repos: DIR/data/shared/repos lies in the data directory",
		"{logs: DIR}":                                      "the data directory: DIR/data lies in storage.logs, DIR",
		"{index: DIR/not/there}":                           "storage.index: DIR/not/there is not there, nor is the directory that it would lie in",
		"{repos: DIR/file}":                                "storage.repos: DIR/file is no directory",
		"{index: DIR/foreign}":                             "storage.index: DIR/foreign is storage.repos of DIR",
		`{database: "DIR/it's"}`:                           `the character '\'' cannot be part of it`,
		"{repos: relative}":                                `storage.repos: "relative" is not an absolute path`,
		"{repos_shards: {first: DIR/a}}":                   `storage.repos_shards: "first" is not the number of a gitserver, from 0`,
		"{database: DIR/a, repos: DIR/file, index: DIR/a}": "DIR/file is no directory",
	} {
		t.Run(said, func(t *testing.T) {
			in := func(text string) string { return strings.ReplaceAll(text, "DIR", s.dir) }
			require.NoError(t, os.WriteFile(s.opts.ConfigFile, []byte("storage: "+in(said)+"\n"), 0o600))
			_, err := Load(s.opts)
			require.Equal(t, CodeInvalid, code(err))
			require.ErrorContains(t, err, in(want))
			require.NotEmpty(t, hintOf(err))
			_, err = os.Stat(storageFile(s.opts.DataDir))
			require.ErrorIs(t, err, os.ErrNotExist, "nothing is remembered")
			_, err = os.Stat(s.dir + "/a")
			require.ErrorIs(t, err, os.ErrNotExist, "nothing is made")
		})
	}
}

// TestStorageIsMovedWithItsData: a path that is changed without its data is refused, and so is a disk that is not mounted.
func TestStorageIsMovedWithItsData(t *testing.T) {
	s := newSite(t, map[string]string{"appliance.yaml": "services: {gitserver: {replicas: 2}}\n"})
	s.release("1.0.0", nil)
	s.load()
	was := filepath.Join(s.opts.DataDir, "shared/repos/1")
	require.NoError(t, os.MkdirAll(filepath.Join(was, "github.com"), 0o755))
	disk := filepath.Join(s.dir, "disk")
	say := func(text string) {
		t.Helper()
		require.NoError(t, os.WriteFile(s.opts.ConfigFile, []byte("services: {gitserver: {replicas: 2}}\n"+strings.ReplaceAll(text, "DISK", disk)), 0o600))
	}
	refused := func(want string) {
		t.Helper()
		for _, dry := range []bool{true, false} {
			s.opts.DryRun = dry
			_, err := Load(s.opts)
			require.Equal(t, CodeInvalid, code(err))
			require.ErrorContains(t, err, want)
			require.Contains(t, hintOf(err), map[bool]string{true: "cp -a", false: "mount its disk"}[strings.Contains(want, "lies in")])
		}
	}

	say("storage: {repos: DISK}\n")
	refused("storage.repos: the data of gitserver/1 lies in " + was + ", and there is none in " + disk + "/1")
	require.NoError(t, os.CopyFS(filepath.Join(disk, "1"), os.DirFS(was)))
	r := s.load()
	require.Equal(t, disk+"/1", r.Plan.Instances[indexOf(t, r, "gitserver", 1)].Data[0].Path)
	s.load()

	say("")
	require.NoError(t, os.RemoveAll(was))
	refused("the data of gitserver/1 lies in " + disk + "/1, and there is none in " + was)
	say("storage: {repos: DISK}\n")
	require.NoError(t, os.Rename(disk, disk+".away"))
	refused(disk + " is gone, and data was there")
	require.NoError(t, os.Mkdir(disk, 0o755)) // where it is to be mounted
	refused("data was in " + disk + ", and the file " + markName + " is not there")
	require.NoError(t, os.Remove(disk))
	require.NoError(t, os.Rename(disk+".away", disk))
	s.load()

	say("storage: {repos: DISK, repos_shards: {7: DISK-7}, cache: DISK-cache, index: DISK-index}\n") // what nothing was written to is no reason
	r = s.load()
	require.Len(t, r.Warnings, 2, "the demo has no index, and there is no eighth gitserver: %v", r.Warnings)
	require.Contains(t, r.Warnings[0], "storage.index has no effect")
	require.Contains(t, r.Warnings[1], "storage.repos_shards.7 has no effect")
	s.load()
	require.NoError(t, os.RemoveAll(disk+"-cache"))
	s.load()
}

func indexOf(t *testing.T, r *Roster, service string, number int) int {
	t.Helper()
	for i, inst := range r.Plan.Instances {
		if inst.Service == service && inst.Number == number {
			return i
		}
	}
	t.Fatalf("no %s/%d", service, number)
	return -1
}
