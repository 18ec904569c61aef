package searcher

// Request is one search of one commit.
type Request struct {
	Repo   string
	Commit string // a full hash
	// Pattern is matched against each line without its end; with PathsOnly against each path. Empty finds every file that the other fields leave.
	Pattern       string
	IsRegexp      bool // RE2 syntax; else Pattern is taken literally
	CaseSensitive bool // for the paths as well
	IncludePaths  []string
	ExcludePaths  []string // regular expressions; a path must match all of Include and none of Exclude
	Langs         []string
	NotLangs      []string // names of languages, as they are written in queries: go, c++, "objective-c"
	Limit         int      // matches (a file without lines counts as one); 0 for no limit
	PathsOnly     bool
}

// FileMatch is a file with at least one match. Path is bytes and need not be UTF-8.
type FileMatch struct {
	Path  string
	Lines []LineMatch // none when only paths were asked for
}

// Count is how many matches a file adds to [Request.Limit].
func (m FileMatch) Count() int {
	n := 0
	for _, l := range m.Lines {
		n += len(l.Ranges) + l.More
	}
	return max(n, 1)
}

// LineMatch is a line with at least one match. A line above 4 KiB is cut to a piece around its first match, and Cut says so.
type LineMatch struct {
	Line   string   // without its end
	Number int      // from 0
	Ranges [][2]int // runes from the start of Line, and length in runes; in order, not overlapping
	Cut    bool
	More   int // matches of the line that are not in Ranges, because the line was cut
}

// Summary ends a search.
type Summary struct {
	LimitHit      bool // there is more than Limit, or more lines in one file than are told
	FilesSearched int  // files that the request's fields left, and that were looked at
	Skipped       Skipped
}

// Skipped counts files whose content was not looked at.
type Skipped struct {
	Binary  int      // a NUL in the first 8000 bytes, as git sees it
	TooBig  int      // above 16 MiB
	Largest []string // paths of some of those that are too big
}

// Code is the kind of an [Error], itself an error so that errors.Is finds it.
type Code string

// What can be wrong with a request. Trouble with the repository comes as gitserver's codes.
const (
	ErrBadPattern Code = "bad_pattern" // no regular expression, or one that spans lines
	ErrBadRequest Code = "bad_request"
	ErrInternal   Code = "internal"
)

func (c Code) Error() string { return string(c) }

// Error is a failure as both ends of the wire know it.
type Error struct {
	Code   Code
	Text   string
	Remedy string
}

func (e *Error) Error() string { return e.Text }
func (e *Error) Unwrap() error { return e.Code }

// Hint says what to do about it; empty if nobody knows.
func (e *Error) Hint() string { return e.Remedy }
