package searcher

import (
	"regexp/syntax"
	"strings"
)

// need is a text that is in everything that matches. With fold it is in lower case, and the searched text has to be, too.
type need struct {
	text string
	fold bool
}

// required finds the longest text that an expression cannot do without, or an empty one.
func required(re *syntax.Regexp) need {
	switch re.Op {
	case syntax.OpLiteral:
		return ofLiteral(re)
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat:
		var best need
		for _, sub := range re.Sub {
			if n := required(sub); len(n.text) > len(best.text) {
				best = n
			}
		}
		return best
	}
	return need{}
}

func ofLiteral(re *syntax.Regexp) need {
	text := string(re.Rune)
	if re.Flags&syntax.FoldCase == 0 {
		return need{text: text}
	}
	longest := ""
	for _, part := range strings.FieldsFunc(text, foldsBeyondASCII) {
		if len(part) > len(longest) {
			longest = part
		}
	}
	return need{text: strings.ToLower(longest), fold: true}
}

// foldsBeyondASCII says whether a rune has another case that lowering ASCII does not find: K is also the Kelvin sign, S also the long s.
func foldsBeyondASCII(r rune) bool {
	return r >= 0x80 || strings.ContainsRune("kKsS", r)
}

// hasNewline says whether an expression asks for a line's end outright. Classes that happen to have it ([^a], \s) do not count.
func hasNewline(re *syntax.Regexp) bool {
	if re.Op == syntax.OpLiteral {
		for _, r := range re.Rune {
			if r == '\n' {
				return true
			}
		}
	}
	for _, sub := range re.Sub {
		if hasNewline(sub) {
			return true
		}
	}
	return false
}
