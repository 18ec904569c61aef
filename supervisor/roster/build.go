package roster

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/sourcegraph/appliance/services"
)

// machines are what ELF calls the architectures that Go builds for. Source: System V ABI, "Machine Information".
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// overrides puts the engineer's own builds in the place of programs, and says so. All faults are in the error.
func (r *Roster) overrides(o Options, list []services.Effective, out map[string]services.Program) error {
	var known, names []string
	for _, e := range list {
		known = append(known, e.Name)
	}
	for name := range o.Overrides {
		names = append(names, name)
	}
	slices.Sort(names)
	var faults []error
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			faults = append(faults, fmt.Errorf("--override %s: %s", name, missing(name, known)))
			continue
		}
		if err := r.override(o, list[i], out); err != nil {
			faults = append(faults, fmt.Errorf("--override %s: %w", name, err))
		}
	}
	err := errors.Join(faults...)
	return invalid(err, hintOr(err, "write --override SERVICE=PROGRAM, with a program that was built for this machine"))
}

func (r *Roster) override(o Options, e services.Effective, out map[string]services.Program) error {
	source := o.Overrides[e.Name]
	switch {
	case e.Kind == services.KindExternal:
		return errors.New("it runs elsewhere, and no program of it is started here")
	case len(e.Releases) == 0 || e.Command0:
		return fmt.Errorf("services.%s.command names its program already; say it in one of the two places", e.Name)
	case e.Disabled:
		r.found = append(r.found, fmt.Sprintf("--override %s has no effect: the service is disabled", e.Name))
		return nil
	}
	if err := checkBuild(source); err != nil {
		return err
	}
	p := services.Program{Path: filepath.Join(o.DataDir, "overrides", e.Name, e.Command[0]), Source: "override"}
	if there, err := (finder{dir: r.Dir, manifest: r.Release, path: o.Path}).find(e); err == nil {
		p.Beside = filepath.Dir(there.Path)
	}
	var err error
	if p.Build, err = placeBuild(source, p.Path, o.DryRun); err != nil {
		return err
	}
	out[e.Name] = p
	r.found = append(r.found, fmt.Sprintf("%s is an override: it runs a copy of %s in place of the release's program", e.Name, source))
	return nil
}

// Rebuild copies the builds of these services anew where they changed, and returns the roster that runs them; the same roster when none did.
// Nothing else is read again.
func (r *Roster) Rebuild(o Options, names []string) (*Roster, error) {
	next := r
	for _, inst := range r.Plan.Instances {
		source := o.Overrides[inst.Service]
		if source == "" || inst.Build == "" || !slices.Contains(names, inst.Service) {
			continue
		}
		if err := checkBuild(source); err != nil {
			return nil, invalid(fmt.Errorf("--override %s: %w", inst.Service, err), hintOf(err))
		}
		build, err := placeBuild(source, inst.Program, false)
		if err != nil {
			return nil, err
		}
		if build != inst.Build {
			changed := *next
			changed.Plan = next.Plan.Rebuilt(inst.Service, build)
			next = &changed
		}
	}
	return next, nil
}

// badBuild says what is wrong with an engineer's own build.
type badBuild struct{ path, what, remedy string }

func (b *badBuild) Error() string { return b.path + " " + b.what }
func (b *badBuild) Hint() string  { return b.remedy }

// checkBuild refuses what the kernel would not run: it could say so only once the service is down.
func checkBuild(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &badBuild{path, "is not there", "build it first, or leave the override away"}
	case err != nil:
		return fmt.Errorf("look at the build: %w", err)
	case !info.Mode().IsRegular():
		return &badBuild{path, "is no file", "name the program itself"}
	case info.Mode()&0o111 == 0:
		return &badBuild{path, fmt.Sprintf("is not executable (mode %04o)", info.Mode().Perm()), "chmod +x " + path}
	}
	return checkArchitecture(path)
}

// checkArchitecture takes programs for this machine, and scripts.
func checkArchitecture(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the build: %w", err)
	}
	defer f.Close()
	var magic [2]byte
	if _, err := io.ReadFull(f, magic[:]); err == nil && string(magic[:]) == "#!" {
		return nil
	}
	program, err := elf.NewFile(f)
	if err != nil {
		return &badBuild{path, "is neither a Linux program nor a script: " + err.Error(), "build it for this machine: GOOS=linux GOARCH=" + runtime.GOARCH}
	}
	if want, known := machines[runtime.GOARCH]; known && program.Machine != want {
		return &badBuild{path, fmt.Sprintf("was built for %s, this machine is %s", program.Machine, runtime.GOARCH), "build it for this machine: GOOS=linux GOARCH=" + runtime.GOARCH}
	}
	return nil
}

// placeBuild copies a build to where everybody may run it, beside and renamed: what runs keeps the file that it was started from, and the
// compiler may write over its own. It returns the digest of what lies there.
func placeBuild(source, place string, dry bool) (string, error) {
	build, err := fileDigest(source)
	if err != nil || dry {
		return build, err
	}
	if there, err := fileDigest(place); err == nil && there == build {
		return build, nil
	}
	dir := filepath.Dir(place)
	fresh := place + ".new"
	if err = os.MkdirAll(dir, 0o755); err == nil { // whatever the umask, the services' users pass through
		err = errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755))
	}
	if err == nil {
		err = os.Remove(fresh)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = copyFile(source, fresh, 0o755)
	}
	if err == nil {
		build, err = fileDigest(fresh) // it may have been built again meanwhile
	}
	if err == nil {
		err = os.Rename(fresh, place)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return "", fmt.Errorf("put the build %s in place: %w", source, err)
	}
	return build, nil
}

func fileDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil))[:12], err
}

// hintOr is the first remedy in a tree of errors, or another.
func hintOr(err error, otherwise string) string {
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return otherwise
}

// ParseOverride reads SERVICE=PROGRAM and makes the path absolute.
func ParseOverride(text string) (service, path string, err error) {
	service, path, ok := strings.Cut(text, "=")
	if !ok || service == "" || path == "" {
		return "", "", fmt.Errorf("%q is not SERVICE=PROGRAM, such as gitserver=./gitserver", text)
	}
	path, err = filepath.Abs(path)
	return service, path, err
}
