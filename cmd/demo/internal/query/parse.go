package query

import (
	"regexp"
	"slices"
	"strings"
)

// builder holds a query while it is read.
type builder struct {
	q        Query
	words    []token // of the pattern
	repoRevs string  // the repo: filter that names revisions
}

// Parse reads a query. regexpByDefault is for clients that ask for it beside the text. The error is an [*Error].
func Parse(text string, regexpByDefault bool) (Query, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return Query{}, err
	}
	b := builder{q: Query{IsRegexp: regexpByDefault}}
	for _, t := range tokens {
		if err := b.add(t); err != nil {
			return Query{}, err
		}
	}
	return b.finish()
}

func (b *builder) add(t token) error {
	if t.field == "" {
		if !t.quoted && slices.Contains([]string{"AND", "OR", "NOT"}, t.value) {
			return &Error{"Operators are not part of the demo", "Quote " + t.value + " to search for the word."}
		}
		b.words = append(b.words, t)
		return nil
	}
	set, known := fields[t.field]
	if !known {
		return unknown(t)
	}
	if t.negated && !slices.Contains(negatable, t.field) {
		return invalid(t, "-"+t.field+": does not exist; only -repo:, -file: and -lang: do")
	}
	return set(b, t)
}

func unknown(t token) error {
	text := "There is no filter " + t.field + ":."
	if near := nearest(t.field); near != "" {
		text += " Did you mean " + near + ":?"
	}
	return &Error{"Unknown filter", text + ` To search for the text itself, write content:"` + t.raw + `".`}
}

func (b *builder) finish() (Query, error) {
	b.join()
	if b.q.IsRegexp && b.q.Pattern != "" {
		if _, err := regexp.Compile(b.q.Pattern); err != nil {
			return Query{}, &Error{"Invalid regular expression", "In " + b.q.Pattern + ": " + reason(err) + ". Without patternType:regexp the text is searched for as it stands."}
		}
	}
	return b.q, b.settleType()
}

// join makes one pattern of the words.
func (b *builder) join() {
	if !b.q.IsRegexp && len(b.words) == 1 && isSlashed(b.words[0]) {
		b.q.IsRegexp = true
		b.q.Pattern = strings.ReplaceAll(strings.Trim(b.words[0].value, "/"), `\/`, "/")
		return
	}
	parts := make([]string, len(b.words))
	for i, w := range b.words {
		parts[i] = w.value
		if b.q.IsRegexp && w.quoted {
			parts[i] = regexp.QuoteMeta(w.value)
		}
		if b.q.IsRegexp && len(b.words) > 1 {
			parts[i] = "(?:" + parts[i] + ")"
		}
	}
	separator := " "
	if b.q.IsRegexp {
		separator = ".*?"
	}
	b.q.Pattern = strings.Join(parts, separator)
}

// isSlashed recognises /regexp/ as version 3 of the syntax does.
func isSlashed(w token) bool {
	return !w.quoted && len(w.value) > 2 && strings.HasPrefix(w.value, "/") && strings.HasSuffix(w.value, "/")
}

func (b *builder) settleType() error {
	q := &b.q
	if q.Type == "" {
		switch {
		case q.Pattern != "":
			q.Type = TypeFile
		case len(q.Files)+len(q.NotFiles)+len(q.Langs)+len(q.NotLangs) > 0:
			q.Type = TypePath
		case len(q.Repos)+len(q.NotRepos) > 0:
			q.Type = TypeRepo
		default:
			return &Error{"Nothing to search for", "Type some text, or a filter such as file:README."}
		}
	}
	if q.Type == TypeFile && q.Pattern == "" {
		return &Error{"Nothing to search for", "type:file needs some text; type:path lists files."}
	}
	if q.Type == TypeRepo && len(q.Files)+len(q.NotFiles)+len(q.Langs)+len(q.NotLangs) > 0 {
		return &Error{"Invalid filter", "type:repo looks at names of repositories only; file: and lang: do not fit."}
	}
	return nil
}
