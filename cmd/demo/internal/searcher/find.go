package searcher

import (
	"bytes"
	"unicode/utf8"
)

const (
	linesMax   = 100_000 // lines of one file that are told; with more the summary says LimitHit
	rangesMax  = 100_000 // matches of one line that are counted
	previewMax = 4 << 10 // bytes of a line that are told
	before     = 200     // bytes shown before the first match of a line that is cut
)

// found are the lines of one file that match.
type found struct {
	lines []LineMatch
	count int  // matches
	more  bool // there were more than one of the bounds allows
}

// find looks for lines in content, and stops after more than limit matches (0 for no limit). folded is content in lower case when m.fold is set, else content.
func (m *matcher) find(content, folded []byte, limit int) found {
	var f found
	number, counted := 0, 0 // lines before the byte counted
	for at := 0; at < len(content); {
		start, end, ok := m.candidate(content, folded, at)
		if !ok {
			break
		}
		at = end + 1
		ranges := m.ranges(content[start:end], folded[start:end], rangesMax)
		if len(ranges) == 0 {
			continue
		}
		if len(f.lines) == linesMax || limit > 0 && f.count > limit {
			f.more = true
			break
		}
		f.more = f.more || len(ranges) == rangesMax
		number += bytes.Count(content[counted:start], []byte{'\n'})
		counted = start
		f.lines = append(f.lines, newLine(content[start:end], number, ranges))
		f.count += len(ranges)
	}
	return f
}

// candidate is the next line from at on that may match.
func (m *matcher) candidate(content, folded []byte, at int) (start, end int, ok bool) {
	start = at
	if len(m.literal) > 0 {
		i := bytes.Index(folded[at:], m.literal)
		if i < 0 {
			return 0, 0, false
		}
		hit := at + i
		start = at + bytes.LastIndexByte(content[at:hit], '\n') + 1
		at = hit
	}
	end = bytes.IndexByte(content[at:], '\n')
	if end < 0 {
		return start, len(content), true
	}
	return start, at + end, true
}

// newLine makes a line's match, cut if it is long. ranges are in bytes, in order, at least one.
func newLine(line []byte, number int, ranges [][]int) LineMatch {
	m := LineMatch{Number: number}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	from := 0
	if len(line) > previewMax {
		m.Cut = true
		from = runeStart(line, max(0, ranges[0][0]-before))
		line = line[:runeStart(line, min(len(line), from+previewMax))]
	}
	at, runes := from, 0 // runes of the preview before the byte at
	for _, r := range ranges {
		start, end := min(r[0], len(line)), min(r[1], len(line))
		if m.Cut && r[0] >= len(line) {
			m.More++
			continue
		}
		runes += utf8.RuneCount(line[at:start])
		length := utf8.RuneCount(line[start:end])
		m.Ranges = append(m.Ranges, [2]int{runes, length})
		at, runes = end, runes+length
	}
	m.Line = string(line[from:])
	return m
}

// runeStart moves back to where a rune begins, at most as far as a rune is long.
func runeStart(line []byte, at int) int {
	for back := 0; back < utf8.UTFMax && at-back > 0; back++ {
		if at-back == len(line) || utf8.RuneStart(line[at-back]) {
			return at - back
		}
	}
	return at
}
