package roster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// keptConfigs is how many accepted configurations are kept; the number is ours.
const keptConfigs = 10

// Accepted is a configuration that was in force: its files by their name beside appliance.yaml, that one included.
type Accepted struct {
	At    time.Time         `json:"at"`
	Who   string            `json:"who"`
	Files map[string]string `json:"files"`
}

func historyDir(dataDir string) string { return filepath.Join(dataDir, "state", "config-history") }

// Keep remembers the files that the roster was loaded from as accepted, unless the last that was kept says the same.
func (r *Roster) Keep(o Options, who string, at time.Time) error {
	now := r.files
	if now == nil {
		return nil // kept by the life of the supervisor that loaded it
	}
	list, err := History(o.DataDir)
	if err != nil {
		return err
	}
	if len(list) > 0 && maps.Equal(list[0].Files, now) {
		return nil
	}
	content, err := json.MarshalIndent(Accepted{at.UTC(), who, now}, "", "  ")
	if err != nil {
		return err
	}
	dir := historyDir(o.DataDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep the accepted configuration: %w", err)
	}
	if err := writeFile(filepath.Join(dir, at.UTC().Format("20060102T150405.000000000Z")+".json"), content, 0o600); err != nil {
		return err
	}
	return forget(dir)
}

// forget removes all but the newest.
func forget(dir string) error {
	names, err := historyNames(dir)
	if err != nil || len(names) <= keptConfigs {
		return err
	}
	for _, name := range names[keptConfigs:] {
		err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
	}
	return err
}

// historyNames are the files of the history, newest first.
func historyNames(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	slices.Reverse(names)
	return names, err
}

// History returns the accepted configurations, newest first. One that cannot be read is left out.
func History(dataDir string) (out []Accepted, err error) {
	dir := historyDir(dataDir)
	names, err := historyNames(dir)
	if err != nil {
		return nil, fmt.Errorf("read the accepted configurations: %w", err)
	}
	for _, name := range names {
		var a Accepted
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && json.Unmarshal(content, &a) == nil && a.Files != nil {
			out = append(out, a)
		}
	}
	return out, nil
}

// Previous is the newest accepted configuration that says something else than the files do now.
func Previous(o Options) (Accepted, error) {
	now, err := filesOf(o.ConfigFile)
	if err != nil {
		return Accepted{}, err
	}
	list, err := History(o.DataDir)
	if err != nil {
		return Accepted{}, err
	}
	for _, a := range list {
		if !maps.Equal(a.Files, now) {
			return a, nil
		}
	}
	return Accepted{}, &Refusal{Code: CodeRefused, Err: errors.New("there is no earlier configuration that worked"),
		Remedy: "one is kept each time that a configuration is applied"}
}

// Restore writes the files as they were, each whole or not at all, and removes the drop-ins that were not there. What is no part of a
// configuration stays. Certificates and secrets are not touched.
func (a Accepted) Restore(configFile string) error {
	now, err := filesOf(configFile)
	if err != nil {
		return err
	}
	dir := filepath.Dir(configFile)
	for _, name := range slices.Sorted(maps.Keys(a.Files)) {
		if old, ok := now[name]; ok && old == a.Files[name] {
			continue
		}
		path := a.path(dir, configFile, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("restore %s: %w", path, err)
		}
		if err := writeFile(path, []byte(a.Files[name]), modeOf(path)); err != nil {
			return err
		}
	}
	for name := range now {
		if _, ok := a.Files[name]; !ok {
			if err := os.Remove(a.path(dir, configFile, name)); err != nil {
				return fmt.Errorf("take back %s: %w", name, err)
			}
		}
	}
	return nil
}

// path follows a symbolic link, so that the link stays one.
func (Accepted) path(dir, configFile, name string) string {
	path := filepath.Join(dir, name)
	if name == siteFileName {
		path = configFile
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

func modeOf(path string) os.FileMode {
	if info, err := os.Stat(path); err == nil {
		return info.Mode().Perm()
	}
	return 0o644
}

// siteFileName is what the site's file is called in the history, whatever its name is.
const siteFileName = "appliance.yaml"

// filesOf reads the files that make a configuration. One that is not there is not in the map.
func filesOf(configFile string) (map[string]string, error) {
	out := map[string]string{}
	content, ok, err := readFile(configFile)
	if err != nil {
		return nil, invalid(err, "make it readable for the user that runs the appliance")
	}
	if ok {
		out[siteFileName] = string(bytes.Clone(content))
	}
	paths, err := filepath.Glob(filepath.Join(filepath.Dir(configFile), dropInDir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if strings.HasPrefix(filepath.Base(path), ".") {
			continue
		}
		content, ok, err := readFile(path)
		if err != nil {
			return nil, invalid(err, "make it readable for the user that runs the appliance")
		}
		if ok {
			out[filepath.Join(dropInDir, filepath.Base(path))] = string(content)
		}
	}
	return out, nil
}

// Emptied names a file of these that had content and has none now, or is not there; empty for none. Editors and copies make that happen for a moment.
func Emptied(before, now map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if strings.TrimSpace(before[name]) != "" && strings.TrimSpace(now[name]) == "" {
			return name
		}
	}
	return ""
}

// Files are the contents of the files that the roster was loaded from, by their names beside appliance.yaml.
func (r *Roster) Files() map[string]string { return r.files }
