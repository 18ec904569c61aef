package services

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Storage is where classes of data lie when they do not lie in the data directory. The tags are those of supervisor/roster/keys.
type Storage struct {
	Database    string            `yaml:"database,omitempty" json:"database,omitempty" doc:"the bundled PostgreSQL's data" example:"/mnt/ssd/database" unset:"data/ in the data directory" pattern:"^/" wants:"an absolute path"`
	Repos       string            `yaml:"repos,omitempty" json:"repos,omitempty" doc:"gitserver's clones, each gitserver's in a directory with its number" example:"/mnt/disk/repos" unset:"shared/repos in the data directory" pattern:"^/" wants:"an absolute path"`
	ReposShards map[string]string `yaml:"repos_shards,omitempty" json:"repos_shards,omitempty" key:"number" doc:"the same for one gitserver, by its number" example:"/mnt/disk2/repos" unset:"as storage.repos" pattern:"^/" wants:"an absolute path" keypattern:"^(0|[1-9][0-9]{0,3})$" keywants:"the number of a gitserver, from 0"`
	Index       string            `yaml:"index,omitempty" json:"index,omitempty" doc:"zoekt's index" example:"/mnt/ssd/index" unset:"shared/index in the data directory" pattern:"^/" wants:"an absolute path"`
	IndexShards map[string]string `yaml:"index_shards,omitempty" json:"index_shards,omitempty" key:"number" doc:"the same for one pair of zoekt-webserver and its indexserver, by its number" example:"/mnt/ssd2/index" unset:"as storage.index" pattern:"^/" wants:"an absolute path" keypattern:"^(0|[1-9][0-9]{0,3})$" keywants:"the number of a zoekt-webserver, from 0"`
	Cache       string            `yaml:"cache,omitempty" json:"cache,omitempty" doc:"what can be made again in minutes: caches of searcher, symbols, worker, frontend and redis-cache" example:"/mnt/scratch/cache" unset:"shared/cache in the data directory" pattern:"^/" wants:"an absolute path"`
	Logs        string            `yaml:"logs,omitempty" json:"logs,omitempty" doc:"the services' logs; earlier ones stay where they are" example:"/mnt/disk/logs" unset:"logs in the data directory" pattern:"^/" wants:"an absolute path" changing:"counts from the next start of the appliance on"`
}

// storageClass is a class of data: the key that moves it, and the directory of the definitions' paths that belong to it, with what stays the same behind.
type storageClass struct {
	key    string
	within string
	only   func() *regexp.Regexp // what belongs to it there; nil: all
	dir    string
	shards map[string]string
}

// generation is compiled once, and by nobody who makes no plan.
var generation = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^gen-\d+/postgres$`) })

func (s Storage) classes() []storageClass {
	return []storageClass{
		{"storage.database", "data/", generation, s.Database, nil},
		{"storage.repos", "shared/repos/", nil, s.Repos, s.ReposShards},
		{"storage.index", "shared/index/", nil, s.Index, s.IndexShards},
		{"storage.cache", "shared/cache/", nil, s.Cache, nil},
	}
}

// behind is the part of a path of this class that stays the same wherever it lies; empty for one of no or another class.
func (c storageClass) behind(file string) string {
	rest, _ := strings.CutPrefix(file, c.within)
	if rest == file {
		return ""
	}
	if c.only != nil && !c.only().MatchString(rest) {
		return ""
	}
	return rest
}

// Place is where a path of a definition lies: below the data directory, or where its class is. key names the class; empty for none.
func (s Storage) Place(dataDir, file string, number int) (place, key string) {
	for _, c := range s.classes() {
		rest := c.behind(file)
		if rest == "" {
			continue
		}
		dir := c.dir
		if own := c.shards[strconv.Itoa(number)]; own != "" {
			dir = own
		}
		if dir != "" {
			return filepath.Join(dir, rest), c.key
		}
		return filepath.Join(dataDir, file), c.key
	}
	return filepath.Join(dataDir, file), ""
}

// Named are all directories that it names, by key.
func (s Storage) Named() map[string]string {
	out := map[string]string{}
	for key, dir := range map[string]string{"database": s.Database, "repos": s.Repos, "index": s.Index, "cache": s.Cache, "logs": s.Logs} {
		if dir != "" {
			out["storage."+key] = filepath.Clean(dir)
		}
	}
	for key, shards := range map[string]map[string]string{"repos_shards": s.ReposShards, "index_shards": s.IndexShards} {
		for number, dir := range shards {
			out["storage."+key+"."+number] = filepath.Clean(dir)
		}
	}
	return out
}
