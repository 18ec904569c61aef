package gitserver

import "time"

// UpdateResult says how fresh a clone is.
type UpdateResult struct {
	LastFetched time.Time // the last successful clone or fetch
	LastChanged time.Time // the last one that moved a branch, a tag or HEAD
	Shard       string    // the gitserver that has the clone; the client fills it in
}

// RepoStatus is what is known of one repository.
type RepoStatus struct {
	Cloned      bool
	Cloning     bool
	Progress    string // git's last words while cloning or fetching
	LastError   string // of the last update; empty after a good one
	LastFetched time.Time
	LastChanged time.Time
	Refs        string // hash over names and values of all refs and HEAD
	DiskBytes   int64  // of the clone
}

// Type is the kind of object that an [Entry] names.
type Type string

// The types of entries. A symbolic link is a blob whose content is its target; a submodule is a commit.
const (
	TypeBlob   Type = "blob"
	TypeTree   Type = "tree"
	TypeCommit Type = "commit"
)

// Entry is one name in a directory. Names are bytes and need not be UTF-8.
type Entry struct {
	Name string // without its directory
	Path string // from the root of the repository
	Mode uint32 // as git has it, octal 100644, 100755, 120000, 040000 or 160000
	Type Type
	Size int64 // bytes of a blob; 0 for others
}
