package supervisor

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/process"
)

func contentOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

// TestFilesOfTheSiteAreCopiedAtEachStart, one behind the other, into a directory that is made; a link that the service planted is not followed.
func TestFilesOfTheSiteAreCopiedAtEachStart(t *testing.T) {
	dir, h, us := t.TempDir(), &Host{}, account{uid: process.NoChange}
	write := func(name, content string) services.Source {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		return services.Source{Path: path}
	}
	f := services.File{Path: filepath.Join(dir, "home", ".ssh", "id_rsa"), Mode: 0o600, From: []services.Source{write("a", "first"), write("b", "second\n")}}
	require.NoError(t, h.writeFile(nil, f, us))
	require.Equal(t, "first\nsecond\n", contentOf(t, f.Path))
	for path, mode := range map[string]os.FileMode{filepath.Dir(f.Path): 0o700, f.Path: 0o600} {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), path)
	}
	write("a", "third\n")
	require.NoError(t, h.writeFile(nil, f, us))
	require.Equal(t, "third\nsecond\n", contentOf(t, f.Path))

	f.Path = filepath.Join(dir, "planted", "id_rsa")
	require.NoError(t, os.Symlink(dir, filepath.Dir(f.Path)))
	require.ErrorContains(t, h.writeFile(nil, f, us), "no directory")
	require.NoFileExists(t, filepath.Join(dir, "id_rsa"))

	require.NoError(t, os.Remove(f.From[0].Path))
	f.Path = filepath.Join(dir, "later")
	require.ErrorContains(t, h.writeFile(nil, f, us), f.From[0].Path)
	require.NoFileExists(t, f.Path)
}
