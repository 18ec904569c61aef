package roster

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/sourcegraph/appliance/services"
)

// Manifest says what a release directory is.
type Manifest struct {
	Schema     int                  `json:"schema"` // 1
	Product    string               `json:"product"`
	Version    string               `json:"version"`
	Arch       string               `json:"arch"`
	Components map[string]Component `json:"components"`
}

// Component is a program that does not lie in bin/ under its own name.
type Component struct {
	Path string `json:"path"` // relative to the release
}

const manifestName = "manifest.json"

// ReadManifest reads and checks the manifest of a release directory. An error names the file, the key and the remedy, and asks for exit code 2.
func ReadManifest(dir string) (Manifest, error) {
	path := filepath.Join(dir, manifestName)
	content, err := os.ReadFile(path)
	if err != nil {
		return Manifest{}, invalid(fmt.Errorf("read the release %s: %w", dir, err), "name a directory that holds a manifest.json and the programs in bin/")
	}
	var m Manifest
	decoder := json.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(&m); err != nil {
		return Manifest{}, invalid(fmt.Errorf("%s is no manifest of a release: %w", path, err), `the smallest is {"schema": 1, "product": "sourcegraph", "version": "3.38.0", "arch": "amd64"}`)
	}
	if err := m.check(); err != nil {
		return Manifest{}, invalid(fmt.Errorf("%s: %w", path, err), "take a release that was made for this appliance and this machine")
	}
	return m, nil
}

func (m Manifest) check() error {
	switch {
	case m.Schema != 1:
		return fmt.Errorf("schema is %d, this appliance reads 1", m.Schema)
	case !slices.Contains(services.Products(), m.Product):
		return fmt.Errorf("product is %q, this appliance knows %s", m.Product, strings.Join(services.Products(), " and "))
	case !regexp.MustCompile(`^[0-9][0-9A-Za-z.+-]{0,60}$`).MatchString(m.Version):
		return fmt.Errorf("version %q is none: it begins with a digit, such as 3.38.0", m.Version)
	case m.Arch != runtime.GOARCH:
		return fmt.Errorf("the release is for %s, this machine is %s", m.Arch, runtime.GOARCH)
	case len(services.Of(m.Product, m.Version)) == 0:
		return fmt.Errorf("%s %s is older than what this appliance can run", m.Product, m.Version)
	}
	for name, c := range m.Components {
		if !filepath.IsLocal(c.Path) {
			return fmt.Errorf("component %s: path %q leads out of the release", name, c.Path)
		}
	}
	return nil
}

// Program returns where the manifest says that a program lies.
func (m Manifest) Program(dir, name string) string {
	if c, ok := m.Components[name]; ok {
		return filepath.Join(dir, c.Path)
	}
	return filepath.Join(dir, "bin", name)
}
