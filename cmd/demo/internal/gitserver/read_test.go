package gitserver

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCloneFetchAndRead(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	first := src.commit(map[string]string{"README.md": "hello\n", "dir/a.go": "package a\n"})
	src.git("tag", "v1")

	one, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	require.False(t, one.LastFetched.IsZero())
	require.Equal(t, one.LastFetched, one.LastChanged)

	for _, rev := range []string{"", "HEAD", "main", "v1", first, first[:9], "refs/heads/main"} {
		got, err := gs.Resolve(ctx, "github.com/a/b", "", rev)
		require.NoError(t, err, rev)
		require.Equal(t, first, got, rev)
	}
	same, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	require.Equal(t, one.LastChanged, same.LastChanged)
	require.True(t, same.LastFetched.After(one.LastFetched))

	src.git("checkout", "-q", "-b", "trunk")
	second := src.commit(map[string]string{"README.md": "bye\n"})
	src.git("branch", "-D", "main")
	moved, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	require.Equal(t, moved.LastFetched, moved.LastChanged)
	got, err := gs.Resolve(ctx, "github.com/a/b", "", "") // HEAD follows the remote's
	require.NoError(t, err)
	require.Equal(t, second, got)
	_, err = gs.Resolve(ctx, "github.com/a/b", "", "main") // and a branch that is gone there is gone here
	require.ErrorIs(t, err, ErrRevisionNotFound)

	require.Equal(t, "hello\n", readFile(t, gs, first, "README.md"))
	require.Equal(t, "bye\n", readFile(t, gs, second, "README.md"))

	status, err := gs.Status(ctx, "github.com/a/b")
	require.NoError(t, err)
	require.True(t, status.Cloned)
	require.Positive(t, status.DiskBytes)
	require.Equal(t, moved.LastFetched, status.LastFetched)

	require.NoError(t, gs.Remove(ctx, "github.com/a/b"))
	require.NoError(t, gs.Remove(ctx, "github.com/a/b"))
	_, err = gs.Resolve(ctx, "github.com/a/b", "", "")
	require.ErrorIs(t, err, ErrNotCloned)
	require.NoDirExists(t, filepath.Join(gs.root, "github.com"))
}

func readFile(t *testing.T, gs *server, commit, path string) string {
	t.Helper()
	r, size, err := gs.ReadFile(t.Context(), "github.com/a/b", commit, path)
	require.NoError(t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	require.EqualValues(t, len(data), size)
	return string(data)
}

func TestErrorsCrossTheWire(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	commit := src.commit(map[string]string{"d/f": "x"})
	_, err := gs.Resolve(ctx, "github.com/a/b", "", "")
	require.ErrorIs(t, err, ErrNotCloned)
	_, err = gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)

	_, err = gs.Resolve(ctx, "github.com/a/b", "", "no/such")
	require.ErrorIs(t, err, ErrRevisionNotFound)
	gone := strings.Repeat("1", 40)
	_, err = gs.Archive(ctx, "github.com/a/b", gone)
	require.ErrorIs(t, err, ErrRevisionNotFound)
	_, err = gs.ReadDir(ctx, "github.com/a/b", gone, "")
	require.ErrorIs(t, err, ErrRevisionNotFound)
	_, _, err = gs.ReadFile(ctx, "github.com/a/b", commit, "d/nope")
	require.ErrorIs(t, err, ErrFileNotFound)
	_, _, err = gs.ReadFile(ctx, "github.com/a/b", commit, "d")
	require.ErrorIs(t, err, ErrFileNotFound)
	require.ErrorContains(t, err, "is a directory")
	_, err = gs.ReadDir(ctx, "github.com/a/b", commit, "d/f")
	require.ErrorIs(t, err, ErrFileNotFound)
	require.Empty(t, readState(cloneDir(gs.root, "github.com/a/b")).Suspect, "a question about what is not there is no sign of damage")

	var hint interface{ Hint() string }
	_, err = gs.Update(ctx, "x", "ext::sh -c id", "")
	require.True(t, errors.As(err, &hint))
	require.Equal(t, ErrInvalid.Error(), errors.Unwrap(hint.(error)).Error())
}

func TestOddFileNamesAndSubmodule(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	odd := []string{"new\nline", "-rf", "caf\xe9 latin1", `back\slash "quote"`, "tab\there", "*", ":(top)", strings.Repeat("l", 250), "ü/ö", "sp ace/ x"}
	files := map[string]string{".gitattributes": "hidden export-ignore\n*.txt text eol=crlf ident\n"}
	for _, name := range odd {
		files[name] = "content of " + name
	}
	files["hidden"], files["id.txt"] = "not left out\n", "$Id$\nline\n"
	src.commit(files)
	require.NoError(t, os.Symlink("-rf", filepath.Join(src.dir, "link")))
	src.git("add", "link")
	src.git("update-index", "--add", "--cacheinfo", "160000,"+strings.Repeat("a", 40)+",sub")
	src.git("commit", "-q", "-m", "link and submodule")
	commit := src.git("rev-parse", "HEAD")
	_, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)

	entries, err := gs.ReadDir(ctx, "github.com/a/b", commit, "")
	require.NoError(t, err)
	types := map[string]Entry{}
	for _, e := range entries {
		types[e.Path] = e
	}
	require.Equal(t, TypeCommit, types["sub"].Type)
	require.EqualValues(t, 0o120000, types["link"].Mode)
	require.Equal(t, TypeTree, types["ü"].Type)
	require.EqualValues(t, len("content of -rf"), types["-rf"].Size)
	for _, name := range odd {
		require.Equal(t, "content of "+name, readFile(t, gs, commit, name))
	}
	_, _, err = gs.ReadFile(ctx, "github.com/a/b", commit, "sub")
	require.ErrorContains(t, err, "is a submodule")
	sub, err := gs.ReadDir(ctx, "github.com/a/b", commit, "sp ace")
	require.NoError(t, err)
	require.Equal(t, " x", sub[0].Name)

	archived := untar(t, gs, commit)
	for _, name := range odd {
		require.Equal(t, "content of "+name, archived[name])
	}
	require.Equal(t, "not left out\n", archived["hidden"], "export-ignore must not count")
	require.Equal(t, "$Id$\nline\n", archived["id.txt"], "nor may any conversion")
}

func untar(t *testing.T, gs *server, commit string) map[string]string {
	t.Helper()
	body, err := gs.Archive(t.Context(), "github.com/a/b", commit)
	require.NoError(t, err)
	defer body.Close()
	files := map[string]string{}
	for r := tar.NewReader(body); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		require.NoError(t, err)
		if h.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		files[h.Name] = string(data)
	}
}

func TestEmptyRepository(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	_, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	_, err = gs.Resolve(ctx, "github.com/a/b", "", "")
	require.ErrorIs(t, err, ErrRevisionNotFound)
	require.ErrorContains(t, err, "is empty")
	_, err = gs.Update(ctx, "github.com/a/b", src.url(), "") // a fetch of nothing
	require.NoError(t, err)
	first := src.commit(map[string]string{"a": "b"})
	_, err = gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	got, err := gs.Resolve(ctx, "github.com/a/b", "", "")
	require.NoError(t, err)
	require.Equal(t, first, got)
}

func TestHeadThatNamesNothing(t *testing.T) {
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	want := src.commit(map[string]string{"a": "b"})
	src.git("branch", "aaa")
	src.git("symbolic-ref", "HEAD", "refs/heads/gone")
	_, err := gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	got, err := gs.Resolve(ctx, "github.com/a/b", "", "")
	require.NoError(t, err)
	require.Equal(t, want, got)
	head, err := os.ReadFile(filepath.Join(cloneDir(gs.root, "github.com/a/b"), "HEAD"))
	require.NoError(t, err)
	require.Equal(t, "ref: refs/heads/main\n", string(head))
}

// A file of 100 MB goes through in pieces: no part of the way holds it whole.
func TestBigAndBinaryFile(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 200 MB")
	}
	ctx, gs, src := deadline(t), newServer(t), newSource(t)
	big, err := os.Create(filepath.Join(src.dir, "big.bin"))
	require.NoError(t, err)
	require.NoError(t, big.Truncate(100<<20))
	require.NoError(t, big.Close())
	src.git("config", "core.bigFileThreshold", "1m")
	commit := src.commit(map[string]string{"bin": "\x00\x01\xff"})
	_, err = gs.Update(ctx, "github.com/a/b", src.url(), "")
	require.NoError(t, err)
	r, size, err := gs.ReadFile(ctx, "github.com/a/b", commit, "big.bin")
	require.NoError(t, err)
	defer r.Close()
	n, err := io.Copy(io.Discard, r)
	require.NoError(t, err)
	require.EqualValues(t, 100<<20, n)
	require.Equal(t, n, size)
	require.Equal(t, "\x00\x01\xff", readFile(t, gs, commit, "bin"))
}
