package roster

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	completeName = ".complete" // stamp of a release that is whole
	activeName   = "active"    // in state/: symbolic link to the active release
)

// InstallRelease makes the release in flagDir the one that runs, by the rules that keep old programs from new data:
//
//	nothing active:                          it is copied to <data>/releases/<version>-<digest>/ and becomes active
//	the active version with another digest:  a rebuild: it replaces the active one
//	any other version:                       only announced, with what to type; the active one is returned
//
// An empty flagDir returns the active release. The copy is made beside, synced and renamed, so it is whole or not there.
// Files are copied, never linked: a compiler writes into its output in place, and would change what is running. Where the file system shares
// blocks between copies the kernel does so here.
func InstallRelease(dataDir, flagDir string) (dir, announced string, err error) {
	active, err := activeRelease(dataDir)
	if err != nil || flagDir == "" {
		return active, "", err
	}
	flagDir, err = filepath.Abs(flagDir)
	if err != nil {
		return "", "", err
	}
	m, err := ReadManifest(flagDir)
	if err != nil {
		return "", "", err
	}
	if active != "" {
		old, err := ReadManifest(active)
		if err != nil {
			return "", "", err
		}
		if old.Product != m.Product || old.Version != m.Version {
			return active, fmt.Sprintf("%s %s runs; to move to %s %s in %s, type: sourcegraph upgrade apply %s", old.Product, old.Version, m.Product, m.Version, flagDir, flagDir), nil
		}
	}
	dir, err = install(dataDir, flagDir, m)
	if err != nil || dir == active {
		return dir, "", err
	}
	return dir, "", activate(dataDir, dir)
}

// install copies a release unless the same is there already.
func install(dataDir, source string, m Manifest) (string, error) {
	if err := checkApart(dataDir, source); err != nil {
		return "", err
	}
	digest, err := cachedDigest(dataDir, source)
	if err != nil {
		return "", invalid(fmt.Errorf("read the release %s: %w", source, err), "take a release directory that is whole")
	}
	releases := filepath.Join(dataDir, "releases")
	dir := filepath.Join(releases, m.Version+"-"+digest)
	if here, err := exists(filepath.Join(dir, completeName)); here || err != nil {
		return dir, err
	}
	if err := os.MkdirAll(releases, 0o755); err != nil {
		return "", fmt.Errorf("install the release %s: %w", source, err)
	}
	temp := dir + ".new"
	if err := errors.Join(os.RemoveAll(temp), os.RemoveAll(dir)); err != nil { // what an earlier try left
		return "", fmt.Errorf("install the release %s: %w", source, err)
	}
	if err := copyTree(source, temp); err != nil {
		return "", fmt.Errorf("install the release %s: %w", source, err)
	}
	if err := writeFile(filepath.Join(temp, completeName), []byte(digest+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("install the release %s: %w", source, err)
	}
	if err := os.Rename(temp, dir); err != nil {
		return "", fmt.Errorf("install the release %s: %w", source, err)
	}
	return dir, syncDir(releases)
}

// checkApart refuses a data directory within the release: a copy would contain itself without end.
func checkApart(dataDir, source string) error {
	if !within(dataDir, source) {
		return nil
	}
	return invalid(fmt.Errorf("the data directory %s lies within the release %s", dataDir, source), "choose a data directory beside it: --data DIR")
}

// activate points state/active to a release, in one step.
func activate(dataDir, dir string) error {
	state := filepath.Join(dataDir, "state")
	if err := os.MkdirAll(state, 0o755); err != nil {
		return fmt.Errorf("activate %s: %w", dir, err)
	}
	pointer, fresh := filepath.Join(state, activeName), filepath.Join(state, "."+activeName+".new")
	err := os.Remove(fresh)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.Symlink(filepath.Join("..", "releases", filepath.Base(dir)), fresh)
	}
	if err == nil {
		err = os.Rename(fresh, pointer)
	}
	if err == nil {
		err = syncDir(state)
	}
	if err != nil {
		return fmt.Errorf("activate %s: %w", dir, err)
	}
	return nil
}

// entry is one name in a release tree.
type entry struct {
	path string // relative
	mode fs.FileMode
	link string // target of a symbolic link
}

// walk visits a tree in order. What is neither directory, file nor a link within the tree is refused.
func walk(root string, visit func(entry) error) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || rel == completeName {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{path: rel, mode: info.Mode()}
		switch {
		case info.IsDir() || info.Mode().IsRegular():
		case info.Mode()&fs.ModeSymlink != 0:
			if e.link, err = os.Readlink(path); err != nil {
				return err
			}
			if filepath.IsAbs(e.link) || !filepath.IsLocal(filepath.Join(filepath.Dir(rel), e.link)) {
				return fmt.Errorf("%s is a link out of the release, to %s", path, e.link)
			}
		default:
			return fmt.Errorf("%s is neither a file nor a directory", path)
		}
		return visit(e)
	})
}

// digestOf is short, and covers every name, kind, right to execute and content.
func digestOf(root string) (string, error) {
	sum := sha256.New()
	err := walk(root, func(e entry) error {
		fmt.Fprintf(sum, "%q %v %v %q\n", e.path, e.mode.Type(), e.mode.Perm()&0o111 != 0, e.link)
		if !e.mode.IsRegular() {
			return nil
		}
		f, err := os.Open(filepath.Join(root, e.path))
		if err != nil {
			return err
		}
		defer f.Close()
		inner := sha256.New()
		if _, err := io.Copy(inner, f); err != nil {
			return err
		}
		_, err = sum.Write(inner.Sum(nil))
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))[:12], err
}

// copyTree copies for everybody to read and only us to write, and syncs every file and directory.
func copyTree(from, to string) error {
	var dirs []string
	err := walk(from, func(e entry) error {
		target := filepath.Join(to, e.path)
		switch {
		case e.mode.IsDir():
			dirs = append(dirs, target)
			if err := os.Mkdir(target, 0o755); err != nil {
				return err
			}
			return os.Chmod(target, 0o755) // whatever the umask
		case e.link != "":
			return os.Symlink(e.link, target)
		}
		return copyFile(filepath.Join(from, e.path), target, e.mode)
	})
	for _, dir := range dirs {
		err = errors.Join(err, syncDir(dir))
	}
	return err
}

func copyFile(from, to string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	perm := fs.FileMode(0o644)
	if mode&0o111 != 0 {
		perm = 0o755
	}
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source) // copy_file_range: shares blocks where the file system can
	err = errors.Join(err, target.Chmod(perm), target.Sync(), target.Close())
	if err != nil {
		return fmt.Errorf("copy %s: %w", strings.TrimPrefix(from, "./"), err)
	}
	return nil
}
