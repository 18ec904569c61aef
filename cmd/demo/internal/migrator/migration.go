package migrator

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
)

//go:embed migrations/*.sql
var embedded embed.FS

// Migration is one step of the schema.
type Migration struct {
	Version int // from 1, without gaps
	Name    string
	SQL     string
}

// Embedded gives the migrations of this release, in order.
func Embedded() ([]Migration, error) {
	sub, err := fs.Sub(embedded, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read the embedded migrations: %w", err)
	}
	return Load(sub)
}

// Load reads the files NNNN_name.sql in a directory. A gap, a double or any other name is an error.
func Load(dir fs.FS) ([]Migration, error) {
	files, err := fs.Glob(dir, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	var all []Migration
	for _, file := range files {
		m, err := load(dir, file)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) })
	for i, m := range all {
		if m.Version != i+1 {
			return nil, fmt.Errorf("migration %04d_%s: want version %d here", m.Version, m.Name, i+1)
		}
	}
	return all, nil
}

var fileName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+)\.sql$`)

func load(dir fs.FS, file string) (Migration, error) {
	parts := fileName.FindStringSubmatch(path.Base(file))
	if parts == nil {
		return Migration{}, fmt.Errorf("migration %s: want a name such as 0001_first.sql", file)
	}
	text, err := fs.ReadFile(dir, file)
	if err != nil {
		return Migration{}, fmt.Errorf("read migration %s: %w", file, err)
	}
	version, err := strconv.Atoi(parts[1])
	if err != nil {
		return Migration{}, fmt.Errorf("migration %s: %w", file, err)
	}
	return Migration{Version: version, Name: parts[2], SQL: string(text)}, nil
}
