package roster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sourcegraph/appliance/services"
)

// StandardPath is where root looks for programs: what its own PATH says is no reason to run something as a service.
const StandardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// MissingProgram says which program is nowhere, where it was looked for, and what brings it.
type MissingProgram struct {
	Service, Program string
	Looked           []string
	Package          string // of the distribution; empty if it is a program of the release
}

func (m *MissingProgram) Error() string {
	return fmt.Sprintf("%s: the program %s is not in %s", m.Service, m.Program, strings.Join(m.Looked, ", "))
}

// Hint names the package to install, or the release to take.
func (m *MissingProgram) Hint() string {
	if m.Package != "" {
		return "install it: apt-get install " + m.Package
	}
	return "take a release that has it, or disable the service: services." + m.Service + ".disabled: true"
}

// MissingPrograms are all that are nowhere, in the order of the services.
type MissingPrograms []*MissingProgram

// Error names what the release lacks in one line, since that has one remedy, and what the machine lacks in a line each.
func (m MissingPrograms) Error() string {
	var lines, lacking []string
	ofRelease, _ := m.byOrigin()
	for _, one := range ofRelease {
		lacking = append(lacking, one.Program)
	}
	if len(ofRelease) > 1 {
		lines = append(lines, fmt.Sprintf("the release lacks programs that it cannot do without: %s; they are not in %s",
			strings.Join(lacking, ", "), strings.Join(ofRelease[0].Looked, ", ")))
	}
	for _, one := range m {
		if one.Package != "" || len(ofRelease) == 1 {
			lines = append(lines, one.Error())
		}
	}
	return strings.Join(lines, "\n")
}

// Hint is one remedy for all.
func (m MissingPrograms) Hint() string {
	ofRelease, ofHost := m.byOrigin()
	var packages, keys, remedies []string
	for _, one := range ofHost {
		packages = append(packages, one.Package)
	}
	for _, one := range ofRelease {
		keys = append(keys, "services."+one.Service+".disabled: true")
	}
	if len(packages) > 0 {
		slices.Sort(packages)
		remedies = append(remedies, "install what the machine lacks: apt-get install "+strings.Join(slices.Compact(packages), " "))
	}
	if len(keys) > 0 {
		remedies = append(remedies, "take a release that has each program in bin/ under its name, or where its components name it; or do without: "+strings.Join(keys, ", "))
	}
	return strings.Join(remedies, "; ")
}

func (m MissingPrograms) byOrigin() (ofRelease, ofHost MissingPrograms) {
	for _, one := range m {
		if one.Package == "" {
			ofRelease = append(ofRelease, one)
		} else {
			ofHost = append(ofHost, one)
		}
	}
	return ofRelease, ofHost
}

// finder looks for programs: the release first, then the host.
type finder struct {
	dir      string // of the release; empty for none
	manifest Manifest
	path     string
}

// find returns the program behind the first word of a command.
func (f finder) find(e services.Effective) (services.Program, *MissingProgram) {
	name := e.Command[0]
	missing := &MissingProgram{Service: e.Name, Program: name}
	if f.dir != "" && !e.Command0 {
		if path := f.inRelease(name); path != "" {
			return services.Program{Path: path, Source: "release"}, nil
		}
		missing.Looked = append(missing.Looked, filepath.Dir(f.manifest.Program(f.dir, name)))
	}
	if e.Host == nil && !e.Command0 {
		return services.Program{}, missing
	}
	host := services.HostProgram{Names: []string{name}}
	if e.Host != nil && !e.Command0 {
		host = *e.Host
		missing.Package = host.Package
	}
	path, looked := f.onHost(host)
	if path == "" {
		missing.Looked = append(missing.Looked, looked...)
		return services.Program{}, missing
	}
	return services.Program{Path: path, Source: "host"}, nil
}

// inRelease returns the path of a program of the release, or nothing.
func (f finder) inRelease(name string) string {
	if path := f.manifest.Program(f.dir, name); f.dir != "" && executable(path) {
		return path
	}
	return ""
}

func (f finder) onHost(h services.HostProgram) (path string, looked []string) {
	var dirs []string
	for _, pattern := range h.Dirs {
		looked = append(looked, pattern)
		found, _ := filepath.Glob(pattern) // the patterns are constants and well formed
		slices.SortFunc(found, func(a, b string) int { return newestFirst(a, b) })
		dirs = append(dirs, found...)
	}
	for _, dir := range filepath.SplitList(f.path) {
		if filepath.IsAbs(dir) { // an empty or relative entry means the working directory: never
			dirs, looked = append(dirs, dir), append(looked, dir)
		}
	}
	for _, dir := range dirs {
		for _, name := range h.Names {
			if path := filepath.Join(dir, name); executable(path) {
				return path, looked
			}
		}
	}
	return "", looked
}

// newestFirst orders /usr/lib/postgresql/9.6/bin after /usr/lib/postgresql/15/bin.
func newestFirst(a, b string) int {
	return -services.CompareVersions(versionIn(a), versionIn(b))
}

func versionIn(path string) string {
	for _, part := range slices.Backward(strings.Split(path, "/")) {
		if _, err := strconv.ParseFloat(part, 64); err == nil {
			return part
		}
	}
	return "0"
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
