package roster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/services"
)

// storageFile is where state remembers which directories the data lay in last, so that a disk that is not mounted and a path that was changed
// without its data are seen.
func storageFile(dataDir string) string { return filepath.Join(dataDir, "state", "storage") }

// checkStorage makes the directories that storage names, and refuses what would begin anew beside data that is there. All faults are in the error.
func (r *Roster) checkStorage(o Options) error {
	last, err := lastStorage(o.DataDir)
	if err != nil {
		return err
	}
	named, before := r.Site.Storage.Named(), last.Named()
	open := func(o Options) (faults []error) {
		for _, key := range slices.Sorted(maps.Keys(named)) {
			used := slices.Contains(slices.Collect(maps.Values(before)), named[key])
			if err := openStorage(key, named[key], used, o); err != nil {
				faults = append(faults, err)
			}
		}
		return faults
	}
	look := o
	look.DryRun = true
	faults := append(apart(named, o), open(look)...)
	if len(faults) == 0 {
		faults = r.leftBehind(o, last)
	}
	if len(faults) == 0 && !o.DryRun {
		faults = open(o)
	}
	if err := errors.Join(faults...); err != nil {
		return invalid(err, hintOf(err))
	}
	r.found = append(r.found, r.unusedStorage(named)...)
	if o.DryRun || maps.Equal(named, before) {
		return nil
	}
	content, err := json.Marshal(r.Site.Storage)
	if err != nil {
		return err
	}
	return writeFile(storageFile(o.DataDir), append(content, '\n'), 0o644)
}

// unusedStorage names what is for no service of this release, or for a shard that there is not.
func (r *Roster) unusedStorage(named map[string]string) (said []string) {
	for _, key := range slices.Sorted(maps.Keys(named)) {
		used := key == "storage.logs" || slices.ContainsFunc(r.Plan.Instances, func(inst services.Instance) bool {
			return slices.ContainsFunc(inst.Data, func(d services.Data) bool { return strings.HasPrefix(d.Path, named[key]+"/") })
		})
		if !used {
			said = append(said, key+" has no effect: no service of this release keeps such data, or there is none of that number")
		}
	}
	return said
}

func lastStorage(dataDir string) (last services.Storage, err error) {
	content, err := os.ReadFile(storageFile(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return last, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &last)
	}
	if err != nil {
		return last, invalid(fmt.Errorf("read where the data lay last: %w", err), "restore "+storageFile(dataDir)+" from a backup, or remove it once all directories of storage are in place")
	}
	return last, nil
}

// apart refuses a directory that is named twice, or lies in another: one disk's data would be counted, moved and removed with the other's.
func apart(named map[string]string, o Options) (faults []error) {
	all := maps.Clone(named)
	all["the data directory"], all["the run directory"] = o.DataDir, o.RunDir
	keys := slices.Sorted(maps.Keys(all))
	for i, a := range keys {
		for _, b := range keys[i+1:] {
			inner, outer := a, b
			if !within(all[a], all[b]) {
				inner, outer = b, a
			}
			if !within(all[inner], all[outer]) || named[inner] == "" && named[outer] == "" {
				continue
			}
			what := fmt.Sprintf("%s: %s lies in %s, %s", inner, all[inner], outer, all[outer])
			if all[inner] == all[outer] {
				what = fmt.Sprintf("%s and %s are the same directory %s", inner, outer, all[inner])
			}
			faults = append(faults, invalid(errors.New(what), "give each a directory of its own, none inside another"))
		}
	}
	return faults
}

func within(inner, outer string) bool {
	rel, err := filepath.Rel(resolved(outer), resolved(inner))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// resolved follows links as far as the path is there.
func resolved(path string) string {
	if whole, err := filepath.EvalSymlinks(path); err == nil {
		return whole
	}
	if path == filepath.Dir(path) {
		return path
	}
	return filepath.Join(resolved(filepath.Dir(path)), filepath.Base(path))
}

// markName is a file in each directory of storage that says whose it is: a disk that is not mounted has none.
const markName = ".sourcegraph-storage"

// openStorage sees that a directory can be used, makes it in a parent that is there, and marks it. used: data of ours was there.
func openStorage(key, dir string, used bool, o Options) error {
	if err := plainPath(dir); err != nil {
		return invalid(fmt.Errorf("%s: %s: %w", key, dir, err), "choose another directory")
	}
	used = used && key != "storage.cache" && key != "storage.logs" // which anybody may empty
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && used:
		return invalid(fmt.Errorf("%s: %s is gone, and data was there", key, dir), "mount its disk; if the data is gone for good, remove "+storageFile(o.DataDir))
	case errors.Is(err, fs.ErrNotExist):
		if here, _ := exists(filepath.Dir(dir)); !here {
			return invalid(fmt.Errorf("%s: %s is not there, nor is the directory that it would lie in", key, dir), "mount its disk, or: mkdir -p "+filepath.Dir(dir))
		}
		if o.DryRun {
			return nil
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			return invalid(fmt.Errorf("%s: %w", key, err), "make it for the user that runs the appliance")
		}
	case err != nil:
		return invalid(fmt.Errorf("%s: %w", key, err), "choose a directory that the user that runs the appliance may read")
	case !info.IsDir():
		return invalid(fmt.Errorf("%s: %s is no directory", key, dir), "name a directory")
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return invalid(fmt.Errorf("%s: %s cannot be written: %w", key, dir, err), fmt.Sprintf("mount it for writing, or give it to the user that runs the appliance: chown %d %s", os.Geteuid(), dir))
	}
	if err := mark(key, dir, used, o); err != nil || !o.Root {
		return err
	}
	if !o.DryRun {
		if err := letPass(dir); err != nil {
			return err
		}
	}
	return checkTraversable(dir)
}

// mark says whose a directory is, unless somebody else's mark is there, or none where ours was.
func mark(key, dir string, used bool, o Options) error {
	path := filepath.Join(dir, markName)
	content, err := os.ReadFile(path)
	ours := key + " of " + o.DataDir
	was := strings.TrimSpace(string(content))
	wasKey, wasData, _ := strings.Cut(was, " of ")
	switch {
	case errors.Is(err, fs.ErrNotExist) && used:
		return invalid(fmt.Errorf("%s: data was in %s, and the file %s is not there", key, dir, markName), "mount its disk; if the data is gone for good, remove "+storageFile(o.DataDir))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return invalid(fmt.Errorf("%s: %w", key, err), "make it readable for the user that runs the appliance")
	case was == ours || o.DryRun && was == "":
		return nil
	case was != "" && (wasKey != key || isThere(wasData)): // else the data directory was moved
		return invalid(fmt.Errorf("%s: %s is %s", key, dir, was), "name another directory; if that is past, remove "+path)
	}
	if o.DryRun {
		return nil
	}
	return writeFile(path, []byte(ours+"\n"), 0o644)
}

// CheckMounted refuses to start a service in a directory of storage that has lost its mark: its disk was unmounted since the appliance looked, and
// the service would begin anew below the mount point. A cache may.
func CheckMounted(inst services.Instance, storage services.Storage) error {
	for key, dir := range storage.Named() {
		if key == "storage.cache" || !slices.ContainsFunc(inst.Data, func(d services.Data) bool { return strings.HasPrefix(d.Path, dir+"/") }) {
			continue
		}
		if _, err := os.Lstat(filepath.Join(dir, markName)); err != nil {
			return invalid(fmt.Errorf("%s: the disk of %s is not mounted, or is not the one that was: %w", key, dir, err), "mount it; the service is tried again until it is there")
		}
	}
	return nil
}

func isThere(path string) bool {
	here, err := exists(path)
	return here || err != nil
}

// leftBehind refuses a change of a path whose data stayed where it was: what holds it would begin with nothing. A cache may.
func (r *Roster) leftBehind(o Options, last services.Storage) (faults []error) {
	said := map[string]bool{}
	for _, inst := range r.Plan.Instances {
		for _, d := range inst.Data {
			old, key := last.Place(o.DataDir, d.Below, inst.Number)
			if key == "" || key == "storage.cache" || old == d.Path || said[old] || isEmpty(old) || !isEmpty(d.Path) {
				continue
			}
			said[old] = true
			faults = append(faults, invalid(fmt.Errorf("%s: the data of %s lies in %s, and there is none in %s", key, inst.Name(), old, d.Path),
				fmt.Sprintf("move it: sourcegraph stop %s && mkdir -p %s && cp -a %s %s/ && sourcegraph reload && sourcegraph start %s. Or name the old directory again; to begin anew, move %s away",
					inst.Service, filepath.Dir(d.Path), old, filepath.Dir(d.Path), inst.Service, old)))
		}
	}
	return faults
}

// isEmpty says that a directory has nothing in it, or is not there. One that cannot be read counts as full.
func isEmpty(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	names, _ := f.Readdirnames(1) // none at its end
	return len(names) == 0
}
