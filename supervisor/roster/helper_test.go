package roster

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// site is a machine's directories with a configuration.
type site struct {
	t    *testing.T
	dir  string
	opts Options
}

// newSite writes files below a new directory: appliance.yaml, services.d/…, secrets/…
func newSite(t *testing.T, files map[string]string) *site {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, "etc", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return &site{t, dir, Options{
		DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(dir, "run"), ConfigFile: filepath.Join(dir, "etc", "appliance.yaml"), ReleaseNone: true,
	}}
}

// release makes a demo release whose programs are tiny scripts; more changes the manifest.
func (s *site) release(version string, more map[string]any) string {
	s.t.Helper()
	dir := filepath.Join(s.dir, "release-"+version)
	require.NoError(s.t, os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	manifest := map[string]any{"schema": 1, "product": "demo", "version": version, "arch": runtime.GOARCH}
	maps.Copy(manifest, more)
	content, err := json.Marshal(manifest)
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(filepath.Join(dir, "manifest.json"), content, 0o644))
	for _, name := range []string{"frontend", "gitserver", "searcher", "worker", "migrator", "redis-server", "postgres"} {
		require.NoError(s.t, os.WriteFile(filepath.Join(dir, "bin", name), []byte("#!/bin/sh\necho "+version+"\n"), 0o755))
	}
	s.opts.ReleaseNone, s.opts.ReleaseDir = false, dir
	return dir
}

func (s *site) load() *Roster {
	s.t.Helper()
	r, err := Load(s.opts)
	require.NoError(s.t, err)
	return r
}

// code is the exit code that an error asks for, 0 for none.
func code(err error) int {
	if c, ok := err.(interface{ ExitCode() int }); ok {
		return c.ExitCode()
	}
	return 0
}
