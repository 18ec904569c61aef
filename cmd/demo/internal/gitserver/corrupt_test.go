package gitserver

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ways to damage a clone, each as a disk, a power cut or a hand would.
func ways() map[string]func(t *testing.T, dir string) {
	each := func(t *testing.T, dir, pattern string, do func(path string)) {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, found)
		for _, path := range found {
			require.NoError(t, os.Chmod(path, 0o600))
			do(path)
		}
	}
	return map[string]func(t *testing.T, dir string){
		"no HEAD":    func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "HEAD"))) },
		"empty HEAD": func(t *testing.T, dir string) { require.NoError(t, os.Truncate(filepath.Join(dir, "HEAD"), 0)) },
		"no objects": func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, "objects"))) },
		"no pack": func(t *testing.T, dir string) {
			each(t, dir, "objects/pack/*.pack", func(p string) { require.NoError(t, os.Remove(p)) })
		},
		"truncated pack": func(t *testing.T, dir string) {
			each(t, dir, "objects/pack/*.pack", func(p string) { require.NoError(t, os.Truncate(p, 100)) })
		},
		"zeroed pack": func(t *testing.T, dir string) {
			each(t, dir, "objects/pack/*.pack", func(p string) {
				info, err := os.Stat(p)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(p, make([]byte, info.Size()), 0o600))
			})
		},
		"empty index of a pack": func(t *testing.T, dir string) {
			each(t, dir, "objects/pack/*.idx", func(p string) { require.NoError(t, os.Truncate(p, 0)) })
		},
	}
}

// Whatever was damaged, readers get an error that says so or the truth, and after at most two updates everything is there again.
func TestCorruptCloneIsFoundAndClonedAgain(t *testing.T) {
	for name, damage := range ways() {
		t.Run(name, func(t *testing.T) {
			ctx, gs, src := deadline(t), newServer(t), newSource(t)
			commit := src.commit(map[string]string{"a": strings.Repeat("some text\n", 100), "d/b": "x\n"})
			first, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
			require.NoError(t, err)
			damage(t, cloneDir(gs.root, "github.com/a/b"))

			gs.store.sweep(ctx) // the janitor sees what a look can see
			if body, err := gs.Archive(ctx, "github.com/a/b", commit); err == nil {
				_, err = io.Copy(io.Discard, body)
				body.Close()
				require.True(t, err == nil || whole(cloneDir(gs.root, "github.com/a/b")))
			}
			again, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
			require.NoError(t, err)
			require.Equal(t, first.LastChanged, again.LastChanged, "nothing changed at the source")
			require.Equal(t, "x\n", readFile(t, gs, commit, "d/b"))
			require.Len(t, untar(t, gs, commit), 2)
			require.NoError(t, gs.store.verify(ctx, cloneDir(gs.root, "github.com/a/b")))
			require.Empty(t, readState(cloneDir(gs.root, "github.com/a/b")).Suspect)
			requireNoTemporaries(t, gs)
		})
	}
}

// As long as no better one can be had, the damaged clone stays and answers what it can.
func TestDamagedCloneStaysUntilTheNewOneIsWhole(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	commit := src.commit(map[string]string{"a": "x\n"})
	_, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	dir := cloneDir(gs.root, "github.com/a/b")
	require.NoError(t, os.Remove(filepath.Join(dir, "config")))
	_, err = gs.Update(ctx, "github.com/a/b", "file:///nowhere", "")
	require.ErrorIs(t, err, ErrRemoteNotFound)
	require.Equal(t, "x\n", readFile(t, gs, commit, "a"))
	requireNoTemporaries(t, gs)
}

// Damage at the source is no reason to throw a sound clone away.
func TestDamageAtTheSourceIsNotOurs(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	commit := src.commit(map[string]string{"a": "x\n"})
	_, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	before, err := os.Stat(cloneDir(gs.root, "github.com/a/b"))
	require.NoError(t, err)
	next := src.commit(map[string]string{"a": "y\n"})
	object := filepath.Join(src.dir, ".git", "objects", next[:2], next[2:])
	require.NoError(t, os.Chmod(object, 0o600))
	require.NoError(t, os.Truncate(object, 0))
	_, err = gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.Error(t, err)
	after, err := os.Stat(cloneDir(gs.root, "github.com/a/b"))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
	require.Equal(t, "x\n", readFile(t, gs, commit, "a"))
}

func TestLeftoversOfAKilledGit(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	src.commit(map[string]string{"a": "x\n"})
	_, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	dir := cloneDir(gs.root, "github.com/a/b")
	old := time.Now().Add(-2 * gs.store.limits.Debris)
	var stale []string
	for _, name := range []string{"refs/heads/main.lock", "packed-refs.lock", "HEAD.lock", "config.lock", "objects/pack/tmp_pack_x1"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chtimes(path, old, old))
		stale = append(stale, path)
	}
	young := filepath.Join(dir, "refs/heads/young.lock")
	require.NoError(t, os.WriteFile(young, nil, 0o600))
	want := src.commit(map[string]string{"a": "y\n"})
	_, err = gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	got, err := gs.Resolve(ctx, "github.com/a/b", "", "")
	require.NoError(t, err)
	require.Equal(t, want, got)
	gs.store.sweep(ctx)
	for _, path := range stale {
		require.NoFileExists(t, path)
	}
	require.FileExists(t, young)

	left := filepath.Join(gs.root, tmpName, "clone-of-a-killed-server")
	require.NoError(t, os.MkdirAll(left, 0o700))
	require.NoError(t, gs.close())
	again := newServerAt(t, gs.root)
	require.NoDirExists(t, left)
	got, err = again.Resolve(ctx, "github.com/a/b", "", "")
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// Old histories break git's present rules of form; a clone of one is not damaged, and must not be cloned again for ever.
func TestMalformedHistoryIsNoDamage(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	src.commit(map[string]string{"a": "x\n"})
	tree := src.git("rev-parse", "HEAD^{tree}")
	raw := filepath.Join(src.dir, "raw")
	require.NoError(t, os.WriteFile(raw, []byte("tree "+tree+"\nauthor A a@b 1 +0000\ncommitter A <a@b> 1 +0000\n\nbad author\n"), 0o600))
	bad := src.git("hash-object", "-t", "commit", "-w", "--literally", raw)
	src.git("update-ref", "refs/heads/bad", bad)
	_, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	require.NoError(t, gs.store.verify(ctx, cloneDir(gs.root, "github.com/a/b")))
}

func TestJanitorRepacks(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	commit := src.commit(map[string]string{"a": "x\n"})
	_, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	pattern := filepath.Join(cloneDir(gs.root, "github.com/a/b"), "objects", "pack", "*.pack")
	packs, err := filepath.Glob(pattern)
	require.NoError(t, err)
	for i := range packsMax { // the same pack under other names
		for _, ending := range []string{".pack", ".idx"} {
			base := strings.TrimSuffix(packs[0], ".pack")
			require.NoError(t, os.Link(base+ending, filepath.Join(filepath.Dir(base), fmt.Sprintf("pack-%040d", i)+ending)))
		}
	}
	gs.store.sweep(ctx)
	packs, err = filepath.Glob(pattern)
	require.NoError(t, err)
	require.Len(t, packs, 1)
	require.Equal(t, "x\n", readFile(t, gs, commit, "a"))
}
