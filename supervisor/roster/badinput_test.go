package roster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestOverridesThatCannotWorkTogether: each is valid by itself.
func TestOverridesThatCannotWorkTogether(t *testing.T) {
	for said, want := range map[string]string{
		"services: {gitserver: {needs: [worker]}, worker: {needs: [gitserver]}}":        "gitserver → worker → gitserver",
		"services: {gitserver: {ports: {http: 3054}}, searcher: {ports: {http: 3054}}}": "gitserver.http and searcher.http have the same address 127.0.0.1:3054",
		"services: {gitserver: {ports: {http: 3055, debug: 3055}}}":                     "have the same address 127.0.0.1:3055",
	} {
		s := newSite(t, map[string]string{"appliance.yaml": said})
		s.release("1.0.0", nil)
		s.opts.DryRun = true
		_, err := Load(s.opts)
		require.Equal(t, CodeInvalid, code(err), "%s: %v", said, err)
		require.ErrorContains(t, err, want)
	}
}

func TestSecretThatEverybodyCanReadIsRefused(t *testing.T) {
	s := newSite(t, map[string]string{
		"services.d/hello.yaml": "hello: {command: [/bin/true], env: {TOKEN: '{{ .Secret.token }}'}}\n", "secrets/token": "t0ken\n",
	})
	path := filepath.Join(s.dir, "etc", "secrets", "token")
	for dir := filepath.Dir(path); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	require.Equal(t, "t0ken", s.load().Secrets["token"])
	require.NoError(t, os.Chmod(path, 0o644))
	_, err := Load(s.opts)
	require.Equal(t, CodeInvalid, code(err))
	require.ErrorContains(t, err, path)
	require.Equal(t, "chmod o-r "+path, err.(interface{ Hint() string }).Hint())
	require.NoError(t, os.Chmod(filepath.Dir(path), 0o700))
	require.Equal(t, "t0ken", s.load().Secrets["token"], "nobody gets there")
}
