package keys

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a file of the site.
type Fault struct {
	File         string
	Line, Column int // from 1; 0 when the whole file is meant
	Message      string
}

func (f Fault) Error() string {
	if f.Line == 0 {
		return f.File + ": " + f.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
}

// Place is where something is written.
type Place struct {
	File         string
	Line, Column int // from 1
}

// Fault is something wrong at this place.
func (p Place) Fault(format string, args ...any) Fault {
	return Fault{p.File, p.Line, p.Column, fmt.Sprintf(format, args...)}
}

// Places says where each key is written, by its path: services.gitserver.replicas. An entry of a list has its number behind a dot.
type Places map[string]Place

// Faults is everything that is wrong in the site's files, in their order.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// ExitCode is that of an invalid configuration.
func (f Faults) ExitCode() int { return 2 }

// Hint says how to try again without starting anything.
func (f Faults) Hint() string { return "correct it, and check with: sourcegraph config check" }

// Sorted puts them in the order in which people read their files.
func (f Faults) Sorted() Faults {
	slices.SortStableFunc(f, func(a, b Fault) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return f
}
