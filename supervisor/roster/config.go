package roster

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// config is everything that the site's files say.
type config struct {
	site     Site
	dropIns  []services.Definition
	said     []said // in order of reading, for faults that show late
	places   keys.Places
	files    map[string]string // contents, by name beside appliance.yaml
	surround map[string]services.Override
	warnings []string
}

// dropInDir is beside appliance.yaml.
const dropInDir = "services.d"

// readConfig reads the site's file and the drop-ins beside it. The faults of all files come together.
func readConfig(file string) (config, error) {
	c := config{places: keys.Places{}, files: map[string]string{}}
	if file == "" {
		return c, nil
	}
	faults, err := c.readSite(file)
	if err != nil {
		return c, err
	}
	dir := filepath.Join(filepath.Dir(file), dropInDir)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, invalid(fmt.Errorf("read the site's own services: %w", err), "make it readable for the user that runs the appliance")
	}
	for _, entry := range entries {
		more, err := c.readEntry(dir, entry)
		if err != nil {
			return c, err
		}
		faults = append(faults, more...)
	}
	if len(faults) > 0 {
		return c, faults.Sorted()
	}
	return c, nil
}

// StopTimeout is what the site's file says of stop_timeout, for stage 0, which needs it before anybody reads the rest; 0 for nothing.
// A fault of the file is reported by whoever loads it whole.
func StopTimeout(file string) time.Duration {
	c := config{places: keys.Places{}, files: map[string]string{}}
	if _, err := c.readSite(file); err != nil {
		return 0
	}
	return c.site.StopTimeout
}

func (c *config) readSite(file string) (keys.Faults, error) {
	content, there, err := readFile(file)
	if err != nil {
		return nil, invalid(err, "make it readable for the user that runs the appliance, or name another with --config")
	}
	if there {
		c.files[siteFileName] = string(content)
	}
	r := keys.NewReader(file)
	if top := r.Document(content); top != nil {
		c.readTop(r, top)
	}
	return r.Faults, nil
}

// readTop reads the top level of appliance.yaml.
func (c *config) readTop(r *keys.Reader, top *yaml.Node) {
	r.Read(top, "", &c.site)
	maps.Copy(c.places, r.Places)
	for _, name := range slices.Sorted(maps.Keys(c.site.Services)) {
		one := said{name: name, out: c.site.Services[name], places: r.Places}
		r.Faults = append(r.Faults, one.waitsForItself()...)
		c.said = append(c.said, one)
	}
}

func (c *config) readEntry(dir string, entry os.DirEntry) (keys.Faults, error) {
	path := filepath.Join(dir, entry.Name())
	if strings.HasPrefix(entry.Name(), ".") {
		return nil, nil // an editor's, or a Kubernetes volume's
	}
	if filepath.Ext(path) != ".yaml" {
		c.warnings = append(c.warnings, path+" is not read: a file with a service ends in .yaml")
		return nil, nil
	}
	content, _, err := readFile(path)
	if err != nil {
		return nil, invalid(err, "make it readable for the user that runs the appliance")
	}
	c.files[filepath.Join(dropInDir, entry.Name())] = string(content)
	r := keys.NewReader(path)
	if top := r.Document(content); top != nil {
		c.readDropIns(r, top)
	}
	return r.Faults, nil
}

// readDropIns reads a file of services.d: names of services, each with its definition.
func (c *config) readDropIns(r *keys.Reader, top *yaml.Node) {
	r.EachKey(top, "", func(key, value *yaml.Node) {
		if services.IsBuiltIn(key.Value) {
			r.At(key, "%s is a built-in service; change it under services.%s in appliance.yaml", key.Value, key.Value)
			return
		}
		if err := services.CheckName(key.Value); err != nil {
			r.At(key, "%v", err)
			return
		}
		one := said{name: key.Value, dropIn: true, places: r.Places}
		r.Places[one.path("")] = r.Places[one.name]
		if r.Read(value, one.path(""), &one.out) {
			r.Faults = append(r.Faults, one.waitsForItself()...)
			c.define(r, key, one)
		}
	})
	for path, at := range r.Places {
		if _, ok := c.places[path]; !ok && strings.HasPrefix(path, "services.") { // what appliance.yaml says wins
			c.places[path] = at
		}
	}
}

// define takes a service of the site's own in.
func (c *config) define(r *keys.Reader, key *yaml.Node, one said) {
	if one.out.Command == nil {
		r.At(key, "service %s has no command", key.Value)
		return
	}
	d, err := services.FromSite(key.Value, r.File, one.out)
	if err != nil {
		r.At(key, "%v", err)
		return
	}
	c.dropIns = append(c.dropIns, d)
	c.said = append(c.said, one)
	if one.out.Replicas != nil || one.out.Disabled != nil || one.out.Retired != nil {
		c.keep(d.Name, services.Override{Replicas: one.out.Replicas, Disabled: one.out.Disabled, Retired: one.out.Retired})
	}
}

// keep remembers what is no part of a definition; what services.<name> says of a drop-in in appliance.yaml wins.
func (c *config) keep(name string, o services.Override) {
	if c.site.Services == nil {
		c.site.Services = map[string]services.Override{}
	}
	said, ok := c.site.Services[name]
	if !ok {
		c.site.Services[name] = o
		return
	}
	if said.Replicas == nil {
		said.Replicas = o.Replicas
	}
	if said.Disabled == nil {
		said.Disabled = o.Disabled
	}
	if said.Retired == nil {
		said.Retired = o.Retired
	}
	c.site.Services[name] = said
}

// selection checks names against what there is, where they stand, and returns the selection for a release.
func (c *config) selection(product, version string) (services.Selection, error) {
	s := services.Selection{Product: product, Version: version, Overrides: c.site.Services, DropIns: c.dropIns, External: c.site.External, Surround: c.surround}
	var err error
	if s.Outside, err = c.site.outside(); err != nil {
		return s, err
	}
	if s.SiteConfig, err = c.siteConfig(product); err != nil {
		return s, err
	}
	known := append(names(services.Of(product, version)), names(c.dropIns)...)
	var faults keys.Faults
	seen := map[string]keys.Place{}
	for _, one := range c.said {
		switch {
		case slices.Contains(known, one.name):
		case services.IsBuiltIn(one.name):
			c.warnings = append(c.warnings, fmt.Sprintf("%s:%d: services.%s has no effect: this release has no such service", one.at().File, one.at().Line, one.name))
			continue
		default:
			faults = append(faults, one.at().Fault("services.%s: %s", one.name, missing(one.name, known)))
		}
		if first, twice := seen[one.name]; twice && one.dropIn {
			faults = append(faults, one.at().Fault("service %s is already defined in %s:%d", one.name, first.File, first.Line))
		}
		if one.dropIn {
			seen[one.name] = one.at()
		}
		for need, at := range one.needs() {
			if !slices.Contains(known, need) {
				faults = append(faults, at.Fault("%s needs %s: %s", one.name, need, missing(need, known)))
			}
		}
	}
	if len(faults) > 0 {
		return s, faults.Sorted()
	}
	if _, err := s.Effective(); err != nil {
		return s, invalid(err, hintOf(err))
	}
	return s, nil
}

func missing(name string, known []string) string {
	if near := keys.Nearest(name, known); near != "" {
		return fmt.Sprintf("there is no such service, did you mean %q?", near)
	}
	if len(known) == 0 {
		return "there is no such service; this release has none"
	}
	return "there is no such service; there are: " + strings.Join(known, ", ")
}

func names(defs []services.Definition) []string {
	var out []string
	for _, d := range defs {
		out = append(out, d.Name)
	}
	return out
}

// hintOf finds the first remedy in a tree of errors.
func hintOf(err error) string {
	return hintOr(err, "check with: sourcegraph config check")
}

// readFile returns a file's content; a file that is not there has none.
func readFile(path string) ([]byte, bool, error) {
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return nil, false, nil
	}
	if err == nil && info.IsDir() {
		err = fmt.Errorf("is a directory")
	}
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", path, err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", path, err)
	}
	return content, true, nil
}
