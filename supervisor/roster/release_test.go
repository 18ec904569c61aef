package roster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReleaseIsCopiedAndActiveAtTheFirstStart(t *testing.T) {
	s := newSite(t, nil)
	source := s.release("1.0.0", nil)
	r := s.load()
	require.Equal(t, filepath.Join(s.opts.DataDir, "releases"), filepath.Dir(r.Dir))
	require.True(t, strings.HasPrefix(r.Plan.Release, "1.0.0-"))
	for _, inst := range r.Plan.Instances {
		if inst.Source == "release" {
			require.True(t, strings.HasPrefix(inst.Program, r.Dir+"/bin/"), "a program never runs from where it was built")
		}
	}
	link, err := os.Readlink(filepath.Join(s.opts.DataDir, "state", "active"))
	require.NoError(t, err)
	require.Equal(t, "../releases/"+r.Plan.Release, link, "the data directory can be moved")

	require.NoError(t, os.RemoveAll(source))
	s.opts.ReleaseDir = ""
	require.Equal(t, r.Plan.Hash, s.load().Plan.Hash, "the copy is all that is needed")
	s.opts.ReleaseDir = "1.0.0"
	require.Equal(t, r.Plan.Hash, s.load().Plan.Hash, "an installed version can be named")
	s.opts.ReleaseDir = "9.9.9"
	_, err = Load(s.opts)
	require.Equal(t, CodeInvalid, code(err))
	require.ErrorContains(t, err, "no release 9.9.9 is installed")
}

func TestRebuildReplacesTheActiveRelease(t *testing.T) {
	s := newSite(t, nil)
	source := s.release("1.0.0", nil)
	before := s.load()
	require.NoError(t, os.WriteFile(filepath.Join(source, "bin", "worker"), []byte("#!/bin/sh\necho other\n"), 0o755))
	after := s.load()
	require.NotEqual(t, before.Dir, after.Dir)
	require.NotEqual(t, before.Plan.Hash, after.Plan.Hash)
	require.Equal(t, after.Dir, s.load().Dir)
}

func TestAnotherVersionIsOnlyAnnounced(t *testing.T) {
	s := newSite(t, nil)
	s.release("1.0.0", nil)
	before := s.load()
	for _, version := range []string{"1.1.0", "0.9.0"} {
		dir := s.release(version, nil)
		r := s.load()
		require.Equal(t, before.Dir, r.Dir, "a flag left in a unit file never puts old software on new data")
		require.Contains(t, r.Announced, "type: sourcegraph upgrade apply "+dir)
	}
}

func TestReleaseBesideTheExecutable(t *testing.T) {
	s := newSite(t, nil)
	source := s.release("1.0.0", nil)
	prefix := filepath.Join(s.dir, "usr")
	require.NoError(t, os.MkdirAll(filepath.Join(prefix, "share", "sourcegraph"), 0o755))
	require.NoError(t, os.Rename(source, filepath.Join(prefix, "share", "sourcegraph", "release")))
	s.opts.ReleaseDir = ""
	_, err := Load(s.opts)
	require.Equal(t, CodeInvalid, code(err))
	require.ErrorContains(t, err, "there is no release to run")
	s.opts.Executable = filepath.Join(prefix, "bin", "sourcegraph")
	require.Equal(t, "1.0.0", s.load().Release.Version)
}

func TestManifestsThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		change map[string]any
		want   string
	}{
		"architecture": {map[string]any{"arch": "riscv128"}, "the release is for riscv128, this machine is"},
		"schema":       {map[string]any{"schema": 2}, "schema is 2, this appliance reads 1"},
		"product":      {map[string]any{"product": "emacs"}, "this appliance knows demo and sourcegraph"},
		"version":      {map[string]any{"version": "../x"}, `version "../x" is none`},
		"too old":      {map[string]any{"product": "sourcegraph", "version": "3.20.0"}, "older than what this appliance can run"},
		"component":    {map[string]any{"components": map[string]any{"gitserver": map[string]any{"path": "../../bin/sh"}}}, "leads out of the release"},
		"no object":    {map[string]any{"schema": "one"}, "is no manifest of a release"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, nil)
			s.release("1.0.0", tc.change)
			_, err := Load(s.opts)
			require.Equal(t, CodeInvalid, code(err))
			require.ErrorContains(t, err, tc.want)
			require.NoDirExists(t, filepath.Join(s.opts.DataDir, "releases"))
		})
	}
}

func TestComponentNamesAnotherPath(t *testing.T) {
	s := newSite(t, nil)
	dir := s.release("1.0.0", map[string]any{"components": map[string]any{"gitserver": map[string]any{"path": "libexec/gs"}}})
	require.NoError(t, os.Mkdir(filepath.Join(dir, "libexec"), 0o700))
	require.NoError(t, os.Rename(filepath.Join(dir, "bin", "gitserver"), filepath.Join(dir, "libexec", "gs")))
	for _, inst := range s.load().Plan.Instances {
		if inst.Service == "gitserver" {
			require.Equal(t, "gs", filepath.Base(inst.Program))
			info, err := os.Stat(filepath.Dir(inst.Program))
			require.NoError(t, err)
			require.EqualValues(t, 0o755, info.Mode().Perm(), "everybody can reach a copied program")
		}
	}
}

func TestLinksOutOfAReleaseAreRefused(t *testing.T) {
	s := newSite(t, nil)
	dir := s.release("1.0.0", nil)
	require.NoError(t, os.Symlink("frontend", filepath.Join(dir, "bin", "web")))
	s.load() // within the release is fine
	require.NoError(t, os.Symlink("../../../../etc/passwd", filepath.Join(dir, "bin", "passwd")))
	_, err := Load(s.opts)
	require.Equal(t, CodeInvalid, code(err))
	require.ErrorContains(t, err, "is a link out of the release")
}

// TestInstallIsWholeOrNotThere leaves what a power cut could leave, at each step of an installation.
func TestInstallIsWholeOrNotThere(t *testing.T) {
	s := newSite(t, nil)
	source := s.release("1.0.0", nil)
	m, err := ReadManifest(source)
	require.NoError(t, err)
	digest, err := digestOf(source)
	require.NoError(t, err)
	dir := filepath.Join(s.opts.DataDir, "releases", "1.0.0-"+digest)
	for name, leave := range map[string]func(){
		"half a copy":               func() { require.NoError(t, os.MkdirAll(filepath.Join(dir+".new", "bin"), 0o755)) },
		"a copy without its stamp":  func() { require.NoError(t, copyTree(source, dir)) },
		"a whole one, not active":   func() { _, err := install(s.opts.DataDir, source, m); require.NoError(t, err) },
		"a pointer not yet renamed": func() { require.NoError(t, os.Symlink("x", filepath.Join(s.opts.DataDir, "state", ".active.new"))) },
	} {
		require.NoError(t, os.RemoveAll(s.opts.DataDir))
		require.NoError(t, os.MkdirAll(filepath.Join(s.opts.DataDir, "releases"), 0o755))
		require.NoError(t, os.MkdirAll(filepath.Join(s.opts.DataDir, "state"), 0o755))
		leave()
		r := s.load()
		require.Equal(t, dir, r.Dir, name)
		installed, err := digestOf(r.Dir)
		require.NoError(t, err)
		require.Equal(t, digest, installed, name)
	}
}

func TestDataWithinTheReleaseIsRefused(t *testing.T) {
	s := newSite(t, nil)
	source := s.release("1.0.0", nil)
	link := filepath.Join(s.dir, "link")
	require.NoError(t, os.Symlink(source, link))
	for _, data := range []string{source, filepath.Join(source, "data"), filepath.Join(link, "data")} {
		s.opts.DataDir = data
		require.NoError(t, os.MkdirAll(data, 0o755))
		_, err := Load(s.opts)
		require.ErrorContains(t, err, "lies within the release")
		require.Equal(t, 2, code(err))
		releases, _ := filepath.Glob(filepath.Join(data, "releases", "*"))
		require.Empty(t, releases)
	}
	s.opts.DataDir = filepath.Join(s.dir, "release-1.0.0-data") // a name that begins like it
	require.NoError(t, os.MkdirAll(s.opts.DataDir, 0o755))
	s.load()
}

func TestActiveReleaseThatIsGoneIsNamed(t *testing.T) {
	s := newSite(t, nil)
	s.release("1.0.0", nil)
	r := s.load()
	require.NoError(t, os.RemoveAll(r.Dir))
	_, err := Load(s.opts)
	require.Equal(t, CodeInvalid, code(err))
	require.ErrorContains(t, err, r.Dir)
}

func TestDirectoryThatServicesCannotReachIsNamed(t *testing.T) {
	s := newSite(t, nil)
	s.opts.Root = true
	private := filepath.Join(s.dir, "private")
	require.NoError(t, os.Mkdir(private, 0o700))
	s.opts.DataDir = filepath.Join(private, "data")
	_, err := Load(s.opts)
	require.Equal(t, CodeInvalid, code(err))
	require.ErrorContains(t, err, private+" (mode 0700)")
}

func TestOwnDataDirectoryIsOpenedForPassing(t *testing.T) {
	s := newSite(t, nil)
	s.opts.Root = true
	for dir := s.dir; dir != os.TempDir(); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755)) // what the test's own directories are is no matter here
	}
	require.NoError(t, os.Mkdir(s.opts.DataDir, 0o700))
	s.load()
	info, err := os.Stat(s.opts.DataDir)
	require.NoError(t, err)
	require.EqualValues(t, 0o711, info.Mode().Perm())
}

func TestMissingProgramNamesPlacesAndPackage(t *testing.T) {
	s := newSite(t, nil)
	dir := s.release("1.0.0", nil)
	require.NoError(t, os.Remove(filepath.Join(dir, "bin", "redis-server")))
	require.NoError(t, os.Remove(filepath.Join(dir, "bin", "searcher")))
	s.opts.Path = filepath.Join(s.dir, "nowhere")
	_, err := Load(s.opts)
	require.Equal(t, CodeInvalid, code(err))
	require.ErrorContains(t, err, "redis-cache: the program redis-server is not in ")
	require.ErrorContains(t, err, s.opts.Path)
	require.ErrorContains(t, err, "searcher: the program searcher is not in ")
	require.Contains(t, err.(*Refusal).Hint(), "install what the machine lacks: apt-get install redis-server; take a release that has")
}

// TestReleaseThatLacksManyPrograms is one error with one remedy; a service that is off lacks nothing.
func TestReleaseThatLacksManyPrograms(t *testing.T) {
	s := newSite(t, map[string]string{"appliance.yaml": ""})
	dir := s.release("1.0.0", nil)
	for _, name := range []string{"gitserver", "searcher", "worker"} {
		require.NoError(t, os.Remove(filepath.Join(dir, "bin", name)))
	}
	_, err := Load(s.opts)
	require.Equal(t, CodeInvalid, code(err))
	require.EqualError(t, err, "the release lacks programs that it cannot do without: gitserver, searcher, worker; they are not in "+installed(t, s.opts.DataDir)+"/bin")
	require.Contains(t, hintOf(err), "services.gitserver.disabled: true, services.searcher.disabled: true, services.worker.disabled: true")
	require.NoError(t, os.WriteFile(s.opts.ConfigFile, []byte("services: {gitserver: {disabled: true}, searcher: {disabled: true}, worker: {disabled: true}}\n"), 0o600))
	s.load()
}

func TestHostProgramStandsIn(t *testing.T) {
	s := newSite(t, nil)
	dir := s.release("1.0.0", nil)
	host := filepath.Join(s.dir, "host")
	require.NoError(t, os.Mkdir(host, 0o755))
	require.NoError(t, os.Rename(filepath.Join(dir, "bin", "redis-server"), filepath.Join(host, "redis-server")))
	s.opts.Path = host
	for _, inst := range s.load().Plan.Instances {
		if strings.HasPrefix(inst.Service, "redis-") {
			require.Equal(t, "host", inst.Source)
			require.Equal(t, filepath.Join(host, "redis-server"), inst.Program)
		}
	}
}

func TestNewestPostgresFirst(t *testing.T) {
	require.Negative(t, newestFirst("/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/9.6/bin"))
	require.Positive(t, newestFirst("/usr/lib/postgresql/9.6/bin", "/usr/lib/postgresql/10/bin"))
}

// installed is the one release that a data directory has.
func installed(t *testing.T, dataDir string) string {
	t.Helper()
	dir, err := activeRelease(dataDir)
	require.NoError(t, err)
	return dir
}
