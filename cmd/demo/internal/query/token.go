package query

import "strings"

// token is one word of a query.
type token struct {
	negated bool
	field   string // lower case, empty for a part of the pattern
	value   string // without quotes
	quoted  bool
	raw     string
}

// tokenize splits at white space outside quotes. Quotes count at the beginning of a word or of a field's value only: it"s is a word.
func tokenize(text string) ([]token, error) {
	var tokens []token
	for rest := strings.TrimLeft(text, " \t\r\n"); rest != ""; rest = strings.TrimLeft(rest, " \t\r\n") {
		t, n, err := next(rest)
		if err != nil {
			return nil, err
		}
		t.raw = rest[:n]
		tokens = append(tokens, t)
		rest = rest[n:]
	}
	return tokens, nil
}

func next(s string) (token, int, error) {
	negated, field, head := splitField(s)
	t := token{negated: negated, field: field}
	rest := s[head:]
	if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
		value, n, ok := unquote(rest)
		if !ok && (field != "" || rest[0] == '"') {
			return t, 0, &Error{"Unterminated quote", "the quote in " + rest + " is never closed; put \\ before it to search for the quote itself"}
		}
		if ok && (n == len(rest) || isSpace(rest[n])) {
			t.value, t.quoted = value, true
			return t, head + n, nil
		}
	}
	n := strings.IndexAny(rest, " \t\r\n")
	if n < 0 {
		n = len(rest)
	}
	t.value = rest[:n]
	if field == "" {
		t.value = strings.NewReplacer(`\"`, `"`).Replace(t.value)
	}
	return t, head + n, nil
}

// splitField recognises [-]letters: followed by something that makes it no code: std::string, http://x and default: are words.
func splitField(s string) (negated bool, field string, head int) {
	i := 0
	if strings.HasPrefix(s, "-") {
		negated, i = true, 1
	}
	start := i
	for i < len(s) && isLetter(s[i]) {
		i++
	}
	if i == start || i >= len(s) || s[i] != ':' {
		return false, "", 0
	}
	name := strings.ToLower(s[start:i])
	i++
	if _, known := fields[name]; !known && (i == len(s) || strings.IndexByte(":/= \t\r\n", s[i]) >= 0) {
		return false, "", 0
	}
	return negated, name, i
}

// unquote reads a quoted string at the beginning of s; inside, \ takes the special meaning of the quote and of \ away.
func unquote(s string) (value string, n int, ok bool) {
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s) && (s[i+1] == quote || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		case c == quote:
			return b.String(), i + 1, true
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, false
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isSpace(c byte) bool  { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
