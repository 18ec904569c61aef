package watch

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/require"
)

// TestEveryWayOfSavingIsSeen: each of them is one word, however many steps it takes.
func TestEveryWayOfSavingIsSeen(t *testing.T) {
	write := func(t *testing.T, path, content string) {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	for name, save := range map[string]func(t *testing.T, dir string){
		"in place": func(t *testing.T, dir string) { write(t, filepath.Join(dir, "a.yaml"), "b: 1") },
		"twice": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "a.yaml"), "")
			write(t, filepath.Join(dir, "a.yaml"), "c: 1")
		},
		"by rename": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, ".a.yaml.new"), "b: 1")
			require.NoError(t, os.Rename(filepath.Join(dir, ".a.yaml.new"), filepath.Join(dir, "a.yaml")))
		},
		"truncated": func(t *testing.T, dir string) { require.NoError(t, os.Truncate(filepath.Join(dir, "a.yaml"), 0)) },
		"removed":   func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "a.yaml"))) },
		"directory replaced": func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(dir+".new", 0o755))
			write(t, filepath.Join(dir+".new", "a.yaml"), "b: 1")
			require.NoError(t, os.Rename(dir, dir+".old"))
			require.NoError(t, os.Rename(dir+".new", dir))
		},
		"..data turned": func(t *testing.T, dir string) {
			require.NoError(t, os.Symlink("..2026", filepath.Join(dir, "..data_tmp")))
			require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "etc")
			require.NoError(t, os.Mkdir(dir, 0o755))
			write(t, filepath.Join(dir, "a.yaml"), "a: 1")
			changes, err := Files(t.Context(), []string{dir, filepath.Join(dir, "services.d")}, 20*time.Millisecond)
			require.NoError(t, err)
			save(t, dir)
			heard(t, changes)
			write(t, filepath.Join(dir, "a.yaml"), "d: 1") // it still hears, also in a new directory
			heard(t, changes)
			require.NoError(t, os.Mkdir(filepath.Join(dir, "services.d"), 0o755))
			heard(t, changes)
			write(t, filepath.Join(dir, "services.d", "b.yaml"), "e: 1")
			heard(t, changes)
		})
	}
}

func heard(t *testing.T, changes <-chan struct{}) {
	t.Helper()
	select {
	case <-changes:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was heard")
	}
}

// TestTwoQuickEditsAreOneWord: it is told once, when the files have been left alone for as long as they must, however long the editing takes.
func TestTwoQuickEditsAreOneWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := make(chan fsnotify.Event)
		f := &files{dirs: []string{"/etc/sg"}, add: func(string) error { return nil }, events: events, out: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go f.run(ctx, 500*time.Millisecond)
		begin := time.Now()
		for range 4 {
			events <- fsnotify.Event{Name: "/etc/sg/a.yaml", Op: fsnotify.Write}
			time.Sleep(400 * time.Millisecond)
		}
		<-f.out
		require.Equal(t, 3*400*time.Millisecond+500*time.Millisecond, time.Since(begin))
		time.Sleep(time.Hour)
		require.Empty(t, f.out)
	})
}

// TestWhatIsBesideIsNoChange: a swap file, a backup, a neighbour of the directory.
func TestWhatIsBesideIsNoChange(t *testing.T) {
	f := &files{dirs: []string{"/etc/sg"}}
	for path, want := range map[string]bool{
		"/etc/sg/a.yaml": true, "/etc/sg": true, "/etc/sg/..data": true,
		"/etc/sg/.a.yaml.swp": false, "/etc/sg/a.yaml~": false, "/etc/sg.neighbour": false, "/etc/passwd": false,
	} {
		require.Equal(t, want, f.concerns(fsnotify.Event{Name: path, Op: fsnotify.Write}), path)
	}
}
