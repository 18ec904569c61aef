package roster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// findRelease follows: --release none, the active pointer, the flag, what lies beside the executable, else exit code 2.
func (r *Roster) findRelease(o Options) error {
	if o.ReleaseNone {
		return nil
	}
	source := o.ReleaseDir
	if source != "" && !strings.ContainsRune(source, '/') {
		if here, _ := exists(filepath.Join(source, manifestName)); !here {
			installed, err := findInstalled(o.DataDir, source)
			if err != nil {
				return err
			}
			source = installed
		}
	}
	active, err := activeRelease(o.DataDir)
	if err != nil {
		return err
	}
	if source == "" && active == "" {
		source = besideExecutable(o.Executable)
		if source == "" && o.DryRun { // to look at what the site's files say needs no release
			return nil
		}
		if source == "" {
			return invalid(errors.New("there is no release to run"), "name one: --release DIR, or run the site's own services alone: --release none")
		}
	}
	if o.DryRun {
		r.Dir = active
		if active == "" {
			r.Dir = source
		}
	} else if r.Dir, r.Announced, err = InstallRelease(o.DataDir, source); err != nil {
		return err
	}
	if r.Release, err = ReadManifest(r.Dir); err != nil {
		return err
	}
	if o.Root {
		return checkTraversable(r.Dir)
	}
	return nil
}

// findInstalled returns the installed release of a version.
func findInstalled(dataDir, version string) (string, error) {
	var have []string
	all, err := filepath.Glob(filepath.Join(dataDir, "releases", "*", completeName))
	if err != nil {
		return "", err
	}
	for _, stamp := range all {
		dir := filepath.Dir(stamp)
		m, err := ReadManifest(dir)
		if err != nil {
			continue // of another architecture or a later appliance
		}
		if m.Version == version {
			return dir, nil
		}
		have = append(have, m.Version)
	}
	return "", invalid(fmt.Errorf("no release %s is installed in %s; there are: %s", version, dataDir, strings.Join(append(have, "none other"), ", ")),
		"name its directory: --release DIR")
}

func besideExecutable(executable string) string {
	if executable == "" {
		return ""
	}
	dir := filepath.Join(filepath.Dir(executable), "..", "share", "sourcegraph", "release")
	if here, _ := exists(filepath.Join(dir, manifestName)); !here {
		return ""
	}
	return dir
}

// activeRelease returns the directory that state/active points to, or "" before the first start.
func activeRelease(dataDir string) (string, error) {
	pointer := filepath.Join(dataDir, "state", activeName)
	to, err := os.Readlink(pointer)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read which release is active: %w", err)
	}
	dir := filepath.Join(filepath.Dir(pointer), to)
	if _, err := os.Stat(filepath.Join(dir, completeName)); err != nil {
		return "", invalid(fmt.Errorf("the active release %s is gone or incomplete: %w", dir, err), "restore it, or remove "+pointer+" and name the release again: --release DIR")
	}
	return dir, nil
}

// checkTraversable refuses a directory that users other than its owner cannot reach, and names the first one that stops them.
func checkTraversable(dir string) error {
	for path := dir; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("look at %s: %w", path, err)
		}
		if info.Mode().Perm()&0o001 == 0 {
			return invalid(fmt.Errorf("the services' users cannot pass through %s (mode %04o) to %s", path, info.Mode().Perm(), dir),
				"chmod o+x "+path+", or choose another data directory: --data DIR")
		}
		if path == filepath.Dir(path) {
			return nil
		}
	}
}
