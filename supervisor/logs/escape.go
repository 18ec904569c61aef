package logs

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// Escape makes a line safe to show: what is not printable becomes visible (\x1b, \r, \u202e), so that a service's output can neither
// drive a terminal nor look like another line (E48). Tabs stay.
func Escape(line string) string {
	if harmless(line) {
		return line
	}
	out := make([]byte, 0, len(line)+16)
	for i := 0; i < len(line); {
		r, n := utf8.DecodeRuneInString(line[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, '\\', 'x', hex[line[i]>>4], hex[line[i]&15])
		case r == '\t', unicode.IsPrint(r):
			out = append(out, line[i:i+n]...)
		case r < utf8.RuneSelf && r != '\r' && r != '\n':
			out = append(out, '\\', 'x', hex[r>>4], hex[r&15])
		default:
			q := strconv.QuoteRuneToASCII(r)
			out = append(out, q[1:len(q)-1]...)
		}
		i += n
	}
	return string(out)
}

const hex = "0123456789abcdef"

func harmless(line string) bool {
	for i := 0; i < len(line); i++ {
		if c := line[i]; (c < ' ' && c != '\t') || c >= 0x7f {
			return false
		}
	}
	return true
}
