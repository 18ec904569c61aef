package roster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sourcegraph/appliance/services"
)

// hostPostgres looks at a PostgreSQL of this machine that is to be the release's database. One that is too old is refused, since the services
// would each end at their start, unless the site says otherwise; an extension that is missing is said.
func (r *Roster) hostPostgres(p services.Program) (said []string, err error) {
	number, _ := strconv.ParseFloat(versionIn(p.Path), 64) // 0: a place that does not tell it
	major := int(number)
	if p.Source != "host" || major == 0 {
		return nil, nil
	}
	if least := services.PostgresMajor(r.product(), r.Release.Version); major < least {
		what := fmt.Sprintf("postgres: this machine has PostgreSQL %d (%s), and %s %s needs %d or later: its services end with an error at their start",
			major, p.Path, r.Release.Product, r.Release.Version, least)
		if !r.Site.AllowOldPostgres {
			return nil, invalid(errors.New(what), fmt.Sprintf("install postgresql-%d (apt.postgresql.org has it), name a database elsewhere by the key postgres, take a release that carries one, "+
				"or, if you know better, set allow_old_postgres: true", least))
		}
		said = append(said, what+"; allow_old_postgres lets it run")
	}
	dir := extensionDir(p.Path)
	if here, _ := exists(dir); !here {
		return said, nil
	}
	for _, name := range services.Extensions(r.product(), r.Release.Version) {
		if _, err := os.Stat(filepath.Join(dir, name+".control")); err != nil {
			said = append(said, fmt.Sprintf("postgres: the extension %s is not in %s, and the migrator will ask for it; apt-get install %s", name, dir, extensionPackage(name, major)))
		}
	}
	return said, nil
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
