package roster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sourcegraph/appliance/services"
)

// readConfig reads the site's file and the drop-ins beside it. The faults of all files come together.
func readConfig(file string) (config, error) {
	var c config
	if file == "" {
		return c, nil
	}
	faults, err := c.readSite(file)
	if err != nil {
		return c, err
	}
	dir := filepath.Join(filepath.Dir(file), "services.d")
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
		return c, faults.sorted()
	}
	return c, nil
}

func (c *config) readSite(file string) (Faults, error) {
	content, _, err := readFile(file)
	if err != nil {
		return nil, invalid(err, "make it readable for the user that runs the appliance, or name another with --config")
	}
	r := &reader{file: file}
	if top := r.document(content); top != nil {
		r.site(top, c)
	}
	return r.faults, nil
}

func (c *config) readEntry(dir string, entry os.DirEntry) (Faults, error) {
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
	r := &reader{file: path}
	if top := r.document(content); top != nil {
		r.dropIns(top, c)
	}
	return r.faults, nil
}

// dropIns reads a file of services.d: names of services, each with its definition.
func (r *reader) dropIns(top *yaml.Node, c *config) {
	builtIn := names(services.All())
	r.eachKey(top, "the file", func(key, value *yaml.Node) {
		if slices.Contains(builtIn, key.Value) {
			r.at(key, "%s is a built-in service; change it under services.%s in appliance.yaml", key.Value, key.Value)
			return
		}
		if err := services.CheckName(key.Value); err != nil {
			r.at(key, "%v", err)
			return
		}
		one := r.service(key.Value, key, value)
		if one.out.Command == nil {
			if resolve(value).Kind == yaml.MappingNode {
				r.at(key, "service %s has no command", key.Value)
			}
			return
		}
		d, err := services.FromSite(key.Value, r.file, one.out)
		if err != nil {
			r.at(key, "%v", err)
			return
		}
		c.dropIns = append(c.dropIns, d)
		c.services = append(c.services, one)
		if one.out.Replicas != nil || one.out.Disabled != nil {
			c.keep(d.Name, services.Override{Replicas: one.out.Replicas, Disabled: one.out.Disabled})
		}
	})
}

// keep remembers what is no part of a definition; what services.<name> says of a drop-in in appliance.yaml wins.
func (c *config) keep(name string, o services.Override) {
	if c.site.services == nil {
		c.site.services = map[string]services.Override{}
	}
	said, ok := c.site.services[name]
	if !ok {
		c.site.services[name] = o
		return
	}
	if said.Replicas == nil {
		said.Replicas = o.Replicas
	}
	if said.Disabled == nil {
		said.Disabled = o.Disabled
	}
	c.site.services[name] = said
}

// selection checks names against what there is, where they stand, and returns the selection for a release.
func (c *config) selection(product, version string) (services.Selection, error) {
	s := services.Selection{Product: product, Version: version, Overrides: c.site.services, DropIns: c.dropIns}
	known := append(names(services.Of(product, version)), names(c.dropIns)...)
	var faults Faults
	seen := map[string]place{}
	for _, one := range c.services {
		switch {
		case slices.Contains(known, one.name):
		case slices.Contains(names(services.All()), one.name):
			c.warnings = append(c.warnings, fmt.Sprintf("%s:%d: services.%s has no effect: this release has no such service", one.first.file, one.first.line, one.name))
			continue
		default:
			faults = append(faults, fault(one.first, "services.%s: %s", one.name, missing(one.name, known)))
		}
		if first, twice := seen[one.name]; twice && isDropIn(one.first) && isDropIn(first) {
			faults = append(faults, fault(one.first, "service %s is already defined in %s:%d", one.name, first.file, first.line))
		}
		seen[one.name] = one.first
		for need, at := range one.needs {
			if !slices.Contains(known, need) {
				faults = append(faults, fault(at, "%s needs %s: %s", one.name, need, missing(need, known)))
			}
		}
	}
	if len(faults) > 0 {
		return s, faults.sorted()
	}
	if _, err := s.Effective(); err != nil {
		return s, invalid(err, hintOf(err))
	}
	return s, nil
}

func isDropIn(p place) bool { return filepath.Base(filepath.Dir(p.file)) == "services.d" }

func fault(at place, format string, args ...any) Fault {
	return Fault{at.file, at.line, at.column, fmt.Sprintf(format, args...)}
}

func missing(name string, known []string) string {
	if near := nearest(name, known); near != "" {
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
	var h interface{ Hint() string }
	if errors.As(err, &h) {
		return h.Hint()
	}
	return "check with: sourcegraph config check"
}
