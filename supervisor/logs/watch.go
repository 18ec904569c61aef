package logs

import (
	"bytes"
	"regexp"
	"regexp/syntax"
	"slices"
)

// watcher calls fn for lines that match.
type watcher struct {
	re      *regexp.Regexp
	literal []byte // part of every match; empty: unknown
	fn      func(line string)
}

// Watch calls fn for every line from now on whose text matches re, until cancel. The line is redacted.
//
// fn runs between two blocks and holds all services' output up: it only sends or stores. It may still be running when cancel returns.
// A literal part in re keeps watching cheap: blocks without it are not looked at.
func (p *Pump) Watch(re *regexp.Regexp, fn func(line string)) (cancel func()) {
	w := &watcher{re: re, literal: requiredLiteral(re), fn: fn}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch = append(slices.Clone(p.watch), w)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.watch = slices.DeleteFunc(slices.Clone(p.watch), func(o *watcher) bool { return o == w })
	}
}

func (w *watcher) look(lines []byte) {
	if len(w.literal) > 0 && !bytes.Contains(lines, w.literal) {
		return
	}
	for line := range bytes.Lines(lines) {
		l, ok := parse(bytes.TrimSuffix(line, []byte("\n")))
		if ok && w.re.Match(l.text) {
			w.fn(string(l.text))
		}
	}
}

// requiredLiteral is the longest text that every match of re contains.
func requiredLiteral(re *regexp.Regexp) []byte {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return nil
	}
	return []byte(string(longestLiteral(tree.Simplify())))
}

func longestLiteral(re *syntax.Regexp) []rune {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return re.Rune
		}
	case syntax.OpConcat, syntax.OpCapture, syntax.OpPlus:
		var longest []rune
		for _, sub := range re.Sub {
			if l := longestLiteral(sub); len(l) > len(longest) {
				longest = l
			}
		}
		return longest
	}
	return nil
}
