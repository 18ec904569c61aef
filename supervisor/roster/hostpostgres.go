package roster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sourcegraph/appliance/services"
)

// hostPostgres warns of a PostgreSQL of this machine that the release does not take as its database: too old, or without an extension.
func (r *Roster) hostPostgres(p services.Program) []string {
	number, _ := strconv.ParseFloat(versionIn(p.Path), 64) // 0: a place that does not tell it
	major := int(number)
	if p.Source != "host" || major == 0 {
		return nil
	}
	var out []string
	if least := services.PostgresMajor(r.product(), r.Release.Version); major < least {
		out = append(out, fmt.Sprintf("postgres: this machine has PostgreSQL %d, and %s %s needs %d or later: its services may end with an error at their start; "+
			"install postgresql-%d (apt.postgresql.org has it), name a database elsewhere by the key postgres, or take a release that carries one",
			major, r.Release.Product, r.Release.Version, least, least))
	}
	dir := extensionDir(p.Path)
	if here, _ := exists(dir); !here {
		return out
	}
	for _, name := range services.Extensions(r.product(), r.Release.Version) {
		if _, err := os.Stat(filepath.Join(dir, name+".control")); err != nil {
			out = append(out, fmt.Sprintf("postgres: the extension %s is not in %s, and the migrator will ask for it; apt-get install %s", name, dir, extensionPackage(name, major)))
		}
	}
	return out
}

// extensionDir is where Debian's builds and PostgreSQL's own keep what may be created. src: Debian postgresql-common: /usr/lib/postgresql/N/bin
func extensionDir(program string) string {
	prefix := filepath.Dir(filepath.Dir(program))
	if root, version, ok := strings.Cut(prefix, "/lib/postgresql/"); ok {
		return filepath.Join(root, "share", "postgresql", version, "extension")
	}
	return filepath.Join(prefix, "share", "extension")
}

// extensionPackage is what Debian and apt.postgresql.org call it; all others are part of the server's own package.
func extensionPackage(name string, major int) string {
	if name == "vector" {
		return fmt.Sprintf("postgresql-%d-pgvector", major)
	}
	return fmt.Sprintf("postgresql-%d", major)
}
