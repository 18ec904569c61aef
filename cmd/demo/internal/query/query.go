package query

import (
	"math"
	"time"
)

// CountAll is [Query.Count] for count:all.
const CountAll = math.MaxInt

// Type says what a search looks at.
type Type string

// The types, as written after type:.
const (
	TypeFile Type = "file" // contents of files; the default when there is a pattern
	TypePath Type = "path" // names of files
	TypeRepo Type = "repo" // names of repositories
)

// RepoFilter is one repo: filter.
type RepoFilter struct {
	Pattern string   // RE2, matched anywhere in the name, case-insensitively
	Revs    []string // after the @; empty for the default branch
}

// Query is what was asked for.
type Query struct {
	Pattern       string // literal text, or RE2 if IsRegexp; empty for filters alone
	IsRegexp      bool
	CaseSensitive bool
	Type          Type

	Repos           []RepoFilter // all must match
	NotRepos        []string
	Files, NotFiles []string // RE2
	Langs, NotLangs []string // as typed
	Revs            []string // from rev:; empty for none
	Count           int      // matches; 0 if not given
	Timeout         time.Duration
}

// Revisions gives the revisions to search in every repository: those of rev:, or of the repo: filters; [""] stands for the default branch.
func (q Query) Revisions() []string {
	if len(q.Revs) > 0 {
		return q.Revs
	}
	for _, f := range q.Repos {
		if len(f.Revs) > 0 {
			return f.Revs
		}
	}
	return []string{""}
}

// Error is a query that cannot be run, in the shape of a search alert.
type Error struct{ Title, Description string }

func (e *Error) Error() string { return e.Title + ": " + e.Description }
