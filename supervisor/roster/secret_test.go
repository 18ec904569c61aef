package roster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGeneratedSecretsAreKeptPrivately(t *testing.T) {
	s := newSite(t, nil)
	s.release("1.0.0", nil)
	first := s.load()
	require.Len(t, first.Secrets, 2)
	require.NotEqual(t, first.Secrets["postgres"], first.Secrets["redis"])
	for name, content := range first.Secrets {
		require.Len(t, content, 64)
		info, err := os.Stat(filepath.Join(s.opts.DataDir, "state", "secrets", name))
		require.NoError(t, err)
		require.EqualValues(t, 0o600, info.Mode().Perm())
	}
	info, err := os.Stat(filepath.Join(s.opts.DataDir, "state", "secrets"))
	require.NoError(t, err)
	require.EqualValues(t, 0o700, info.Mode().Perm())
	require.Equal(t, first.Secrets, s.load().Secrets)
}

func TestLostPasswordOfADatabaseIsNotMadeAnew(t *testing.T) {
	s := newSite(t, nil)
	s.release("1.0.0", nil)
	s.load()
	require.NoError(t, os.MkdirAll(filepath.Join(s.opts.DataDir, "data", "gen-1", "postgres", "pgdata"), 0o700))
	secret := filepath.Join(s.opts.DataDir, "state", "secrets", "postgres")
	require.NoError(t, os.Remove(secret))
	_, err := Load(s.opts)
	require.Equal(t, CodeInvalid, code(err))
	require.ErrorContains(t, err, secret+" is gone, but ")
}

// TestSecretOfTheSiteWithAGeneratedName: the appliance's own would be taken in its place, in silence.
func TestSecretOfTheSiteWithAGeneratedName(t *testing.T) {
	s := newSite(t, map[string]string{"appliance.yaml": "redis: {cache: {host: cache, password_secret: redis}}\n", "secrets/redis": "the site's\n"})
	s.release("1.0.0", nil)
	_, err := Load(s.opts)
	require.Equal(t, CodeInvalid, code(err))
	require.ErrorContains(t, err, "secrets/redis is not read: the appliance makes one of this name itself, the password of both Redis servers")
	require.Contains(t, hintOf(err), "another name, such as redis-site")
}

func TestSecretsThatAreRefused(t *testing.T) {
	for content, want := range map[string]string{"": "is empty", "\n": "is empty", "a\nb\n": "has more than one line"} {
		s := newSite(t, map[string]string{
			"services.d/hello.yaml": `hello: {command: [/bin/true], env: {TOKEN: "{{ .Secret.token }}"}}` + "\n", "secrets/token": content,
		})
		_, err := Load(s.opts)
		require.Equal(t, CodeInvalid, code(err))
		require.ErrorContains(t, err, want)
	}
}
