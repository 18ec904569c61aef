package roster

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkLoad reads 30 services of the site's own: what a start does before it forks the first of them.
func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	file := filepath.Join(dir, "services.d", "all.yaml")
	require.NoError(b, os.Mkdir(filepath.Dir(file), 0o755))
	var text []byte
	for i := range 30 {
		text = fmt.Appendf(text, "s%02d: {command: [/bin/true]}\n", i)
	}
	require.NoError(b, os.WriteFile(file, text, 0o644))
	o := Options{
		DataDir: filepath.Join(dir, "data"), RunDir: filepath.Join(dir, "run"), ConfigFile: filepath.Join(dir, "appliance.yaml"), ReleaseNone: true,
		Executable: os.Args[0],
	}
	for b.Loop() {
		_, err := Load(o)
		require.NoError(b, err)
	}
}
