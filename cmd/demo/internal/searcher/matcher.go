package searcher

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"strings"
)

// matcher finds a pattern in lines. It may be used from many goroutines.
type matcher struct {
	re      *regexp.Regexp // nil when literal says it all
	literal []byte         // in every line that matches; in lower case when fold is set; empty if nothing is known
	fold    bool           // compare literal with the text in lower case (ASCII)
	all     bool           // an empty pattern: everything matches
}

// newMatcher reads a pattern. ErrBadPattern if it is no regular expression, or wants to match a line's end.
func newMatcher(pattern string, isRegexp, caseSensitive bool) (*matcher, error) {
	switch {
	case pattern == "":
		return &matcher{all: true}, nil
	case !isRegexp && strings.Contains(pattern, "\n"):
		return nil, spansLines(pattern)
	case !isRegexp && caseSensitive:
		return &matcher{literal: []byte(pattern)}, nil
	case !isRegexp && isASCII(pattern):
		return &matcher{literal: []byte(strings.ToLower(pattern)), fold: true}, nil
	case !isRegexp:
		pattern = regexp.QuoteMeta(pattern)
	}
	return newRegexp(pattern, caseSensitive)
}

func newRegexp(pattern string, caseSensitive bool) (*matcher, error) {
	flagged := pattern
	if !caseSensitive {
		flagged = "(?i)" + pattern
	}
	tree, err := syntax.Parse(flagged, syntax.Perl)
	if err != nil {
		return nil, badPattern(pattern, err)
	}
	if hasNewline(tree) {
		return nil, spansLines(pattern)
	}
	re, err := regexp.Compile(flagged)
	if err != nil {
		return nil, badPattern(pattern, err)
	}
	need := required(tree)
	return &matcher{re: re, literal: []byte(need.text), fold: need.fold}, nil
}

func badPattern(pattern string, err error) error {
	text := strings.Replace(err.Error(), "(?i)", "", 1)
	return &Error{Code: ErrBadPattern, Text: "pattern " + pattern + ": " + text, Remedy: `use RE2 syntax, or patternType:literal to find the text as it is`}
}

func spansLines(pattern string) error {
	return &Error{Code: ErrBadPattern, Text: "pattern " + pattern + " has a line's end in it, and lines are searched one by one", Remedy: "search for one of the lines"}
}

// matches says whether a single text, such as a path, matches.
func (m *matcher) matches(text []byte) bool {
	switch {
	case m.all:
		return true
	case m.re != nil:
		return m.re.Match(text)
	case m.fold:
		return bytes.Contains(lower(nil, text), m.literal)
	default:
		return bytes.Contains(text, m.literal)
	}
}

// ranges gives the matches in a line, at most n of them. folded is the line in lower case when m.fold is set, else the line.
func (m *matcher) ranges(line, folded []byte, n int) [][]int {
	if m.re != nil {
		return nonEmpty(m.re.FindAllIndex(line, n))
	}
	var all [][]int
	for at := 0; len(all) < n; {
		i := bytes.Index(folded[at:], m.literal)
		if i < 0 {
			break
		}
		all = append(all, []int{at + i, at + i + len(m.literal)})
		at += i + len(m.literal)
	}
	return all
}

// nonEmpty leaves out empty matches, but for the first where there is no other: a line that matches has a match.
func nonEmpty(all [][]int) [][]int {
	kept := all[:0:0]
	for _, r := range all {
		if r[0] < r[1] {
			kept = append(kept, r)
		}
	}
	if len(kept) == 0 && len(all) > 0 {
		return all[:1]
	}
	return kept
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
