package logs

import "bytes"

// longestValue bounds a value that nothing ends.
const longestValue = 4096

// anyValue is the value behind a key such as password: whatever follows "=" or ":", in quotes or up to a separator.
func anyValue(data []byte, at int) (span, bool) {
	at = skip(data, at, "\\\"'`")
	if at >= len(data) || data[at] != '=' && data[at] != ':' {
		return span{}, false
	}
	return quotedOrWord(data, at+1)
}

// tokenValue is the value behind token= and the like, if it looks like a token: "unexpected token: }" is a message, not a secret.
func tokenValue(data []byte, at int) (span, bool) {
	if data[at-1] == '"' {
		at = skip(data, at, " ")
		if at >= len(data) || data[at] != ':' {
			return span{}, false
		}
		at++
	}
	s, ok := quotedOrWord(data, at)
	return s, ok && tokenLike(data[s.from:s.to])
}

// headerValue is what follows Authorization up to the end of its quotes or of the line, scheme included.
func headerValue(data []byte, at int) (span, bool) {
	at = skip(data, at, "\\\"' ")
	if at >= len(data) || data[at] != '=' && data[at] != ':' {
		return span{}, false
	}
	from := skip(data, at+1, " \\\"'[")
	to := until(data, from, "\"'\\\n\r],;")
	return span{from, to}, to > from
}

// bearerValue is the token behind "Bearer ".
func bearerValue(data []byte, at int) (span, bool) {
	to := until(data, at, " \"'\\\n\r\t,;)]}&")
	return span{at, to}, tokenLike(data[at:to])
}

func tokenLike(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', bytes.IndexByte([]byte("-._~+/=:%"), c) >= 0:
		default:
			return false
		}
	}
	return true
}

func quotedOrWord(data []byte, at int) (span, bool) {
	at = skip(data, at, " ")
	open := at
	at = skip(data, at, "\\")
	if at < len(data) && (data[at] == '"' || data[at] == '\'') {
		from := at + 1
		to := closing(data, from, data[at], at-open)
		return span{from, to}, to > from
	}
	to := until(data, at, " \"'\\\n\r\t,;)]}&")
	return span{at, to}, to > at
}

// closing finds the quote that ends a value, opened behind as many backslashes as escaped says.
func closing(data []byte, from int, quote byte, escaped int) int {
	end := min(len(data), from+longestValue)
	for i := from; i < end; i++ {
		switch data[i] {
		case '\n':
			return i
		case '\\':
			if escaped == 0 {
				i++ // the next byte is part of the value, also a quote
			} else if i+escaped < end && data[i+escaped] == quote {
				return i
			}
		case quote:
			return i
		}
	}
	return end
}

// addresses finds the passwords of addresses: "://user:PASSWORD@", "://:PASSWORD@" and "://TOKEN@". A password may hold an "@" that
// someone forgot to escape, so it ends at the last one of the word. Each word is read once, whatever is in it.
func addresses(data []byte, spans []span) []span {
	for at := 0; at < len(data); {
		i := bytes.IndexByte(data[at:], '@')
		if i < 0 {
			break
		}
		sign := at + i
		begin := sign
		for begin > at && sign-begin < longestValue && bytes.IndexByte([]byte(wordEnds), data[begin-1]) < 0 {
			begin--
		}
		at = until(data, sign, wordEnds)
		spans = passwords(data, begin, at, spans)
	}
	return spans
}

const wordEnds = " \n\t\"'`<>\\"

// passwords finds those of the word [begin, end), which may hold several addresses.
func passwords(data []byte, begin, end int, spans []span) []span {
	for {
		i := bytes.Index(data[begin:end], []byte("://"))
		if i < 0 {
			return spans
		}
		begin += i + 3
		next := end
		if i := bytes.Index(data[begin:end], []byte("://")); i >= 0 {
			next = begin + i
		}
		if s, ok := password(data[:next], begin); ok {
			spans = append(spans, s)
		}
		begin = next
	}
}

// longToken is the length from which a lone user name in an address is taken for a token, as in https://TOKEN@host.
const longToken = 20

func password(data []byte, user int) (span, bool) {
	sign := bytes.LastIndexByte(data[user:], '@')
	if sign < 0 {
		return span{}, false
	}
	sign += user
	colon := bytes.IndexByte(data[user:sign], ':')
	if colon < 0 {
		return span{user, sign}, sign-user >= longToken && tokenLike(data[user:sign]) && bytes.IndexByte(data[user:sign], '/') < 0
	}
	from := user + colon + 1
	if isPort(data[from:sign]) {
		return span{}, false
	}
	return span{from, sign}, from < sign
}

// isPort tells http://host:80/a@b from a password.
func isPort(b []byte) bool {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return n > 0 && n < len(b) && b[n] == '/'
}

func skip(data []byte, at int, set string) int {
	for at < len(data) && bytes.IndexByte([]byte(set), data[at]) >= 0 {
		at++
	}
	return at
}

func until(data []byte, at int, set string) int {
	end := min(len(data), at+longestValue)
	for at < end && bytes.IndexByte([]byte(set), data[at]) < 0 {
		at++
	}
	return at
}
