package query

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fields is what may stand before a colon; the values fill a query.
var fields = map[string]func(*builder, token) error{
	"repo": (*builder).repo, "r": (*builder).repo,
	"file": (*builder).file, "f": (*builder).file, "path": (*builder).file,
	"lang": (*builder).lang, "l": (*builder).lang, "language": (*builder).lang,
	"rev": (*builder).rev, "revision": (*builder).rev,
	"case":        (*builder).caseSensitive,
	"count":       (*builder).count,
	"type":        (*builder).kind,
	"patterntype": (*builder).patternType,
	"content":     (*builder).content,
	"timeout":     (*builder).timeout,
	"context":     (*builder).context,
}

// negatable fields may have a - in front.
var negatable = []string{"repo", "r", "file", "f", "path", "lang", "l", "language"}

func (b *builder) repo(t token) error {
	pattern, revs, hasRevs := strings.Cut(t.value, "@")
	if err := checkRegexp(t, pattern); err != nil {
		return err
	}
	if t.negated {
		if hasRevs {
			return invalid(t, "a repository cannot be left out at a revision only")
		}
		b.q.NotRepos = append(b.q.NotRepos, pattern)
		return nil
	}
	f := RepoFilter{Pattern: pattern}
	if hasRevs {
		f.Revs = splitRevs(revs)
		if b.repoRevs != "" || len(b.q.Revs) > 0 {
			return invalid(t, "only one filter may name revisions")
		}
		b.repoRevs = t.raw
	}
	b.q.Repos = append(b.q.Repos, f)
	return nil
}

func (b *builder) rev(t token) error {
	if b.repoRevs != "" || len(b.q.Revs) > 0 {
		return invalid(t, "only one filter may name revisions")
	}
	if b.q.Revs = splitRevs(t.value); len(b.q.Revs) == 0 {
		return invalid(t, "want a branch, tag or commit, such as rev:main")
	}
	return nil
}

func splitRevs(text string) []string {
	return slices.DeleteFunc(strings.Split(text, ":"), func(s string) bool { return s == "" })
}

func (b *builder) file(t token) error {
	return b.pattern(t, &b.q.Files, &b.q.NotFiles)
}

func (b *builder) pattern(t token, include, exclude *[]string) error {
	if err := checkRegexp(t, t.value); err != nil {
		return err
	}
	into := include
	if t.negated {
		into = exclude
	}
	*into = append(*into, t.value)
	return nil
}

func (b *builder) lang(t token) error {
	if t.value == "" {
		return invalid(t, "want a language, such as lang:go")
	}
	into := &b.q.Langs
	if t.negated {
		into = &b.q.NotLangs
	}
	*into = append(*into, t.value)
	return nil
}

func (b *builder) caseSensitive(t token) error {
	switch strings.ToLower(t.value) {
	case "yes", "true", "y", "1":
		b.q.CaseSensitive = true
	case "no", "false", "n", "0":
		b.q.CaseSensitive = false
	default:
		return invalid(t, "want case:yes or case:no")
	}
	return nil
}

func (b *builder) count(t token) error {
	if strings.EqualFold(t.value, "all") {
		b.q.Count = CountAll
		return nil
	}
	n, err := strconv.Atoi(t.value)
	if err != nil || n < 1 {
		return invalid(t, "want a number above 0, or count:all")
	}
	b.q.Count = n
	return nil
}

func (b *builder) kind(t token) error {
	switch k := Type(strings.ToLower(t.value)); k {
	case TypeFile, TypePath, TypeRepo:
		b.q.Type = k
		return nil
	}
	return invalid(t, "the demo knows type:file, type:path and type:repo")
}

func (b *builder) patternType(t token) error {
	switch strings.ToLower(t.value) {
	case "literal", "standard":
		b.q.IsRegexp = false
	case "regexp", "regex":
		b.q.IsRegexp = true
	default:
		return invalid(t, "the demo knows patternType:literal (the default, also called standard) and patternType:regexp")
	}
	return nil
}

func (b *builder) content(t token) error {
	if t.value == "" {
		return invalid(t, `want text, such as content:"repo:"`)
	}
	b.words = append(b.words, token{value: t.value, quoted: t.quoted})
	return nil
}

func (b *builder) timeout(t token) error {
	d, err := time.ParseDuration(t.value)
	if err != nil || d <= 0 || d > maxTimeout {
		return invalid(t, fmt.Sprintf("want a duration up to %s, such as timeout:10s", maxTimeout))
	}
	b.q.Timeout = d
	return nil
}

const maxTimeout = time.Minute

func (b *builder) context(t token) error {
	if t.value != "global" && t.value != "@global" {
		return invalid(t, "the demo has one search context only, context:global")
	}
	return nil
}

func checkRegexp(t token, pattern string) error {
	if _, err := regexp.Compile(pattern); err != nil {
		return invalid(t, "not a regular expression: "+reason(err))
	}
	return nil
}

func invalid(t token, why string) error {
	return &Error{"Invalid filter", "In " + t.raw + ": " + why + "."}
}

// reason leaves out Go's "error parsing regexp: ".
func reason(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}
