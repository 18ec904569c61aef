package logs

import (
	"bytes"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	stampLayout = "2006-01-02T15:04:05.000Z"
	stampLen    = len(stampLayout)

	// maxLine is the longest text of one line, process-model.md section 4.
	maxLine = 64 << 10

	flagCut  = '+' // the line goes on in the next one
	flagOurs = '!' // the appliance's own words

	// prefixRoom is a bound on a prefix: stamp, space, 20 digits, flag, space.
	prefixRoom = stampLen + 1 + 20 + 1 + 1
)

// prefix is what stands before a line's text. It is formatted once per millisecond and run.
type prefix struct {
	ms    int64
	run   uint64
	plain []byte
	cut   []byte
}

// at makes the prefix that of now and run.
func (p *prefix) at(now time.Time, run uint64) {
	if ms := now.UnixMilli(); p.ms != ms || p.run != run || p.plain == nil {
		p.ms, p.run = ms, run
		p.plain = appendPrefix(p.plain[:0], now, run, 0)
		p.cut = appendPrefix(p.cut[:0], now, run, flagCut)
	}
}

func appendPrefix(dst []byte, now time.Time, run uint64, flag byte) []byte {
	dst = now.UTC().AppendFormat(dst, stampLayout)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, run, 10)
	if flag != 0 {
		dst = append(dst, flag)
	}
	return append(dst, ' ')
}

// block is a formatted part of a service's output.
type block struct {
	out   []byte // whole lines as they go to the file
	raw   int    // bytes of the service's output that out stands for
	lines int
}

// format appends lines of data to out, which is never grown. It stops where out is full, after the last whole line, and after a line
// of more than limit bytes has been cut. With rest set the end of data counts as the end of a line. spans are what to redact.
func format(out, data []byte, p *prefix, spans []span, limit int, rest bool) block {
	b := block{out: out}
	for b.raw < len(data) {
		text, whole := nextLine(data[b.raw:], limit, rest)
		if text == nil {
			break
		}
		n := len(text)
		if !whole {
			n = beforeSpan(spans, b.raw, n)
			text = text[:n]
		}
		own := spansUntil(spans, b.raw+n)
		if cap(b.out)-len(b.out) < prefixRoom+n+1+len(own)*len(redacted) {
			break
		}
		if whole {
			b.out = append(b.out, p.plain...)
		} else {
			b.out = append(b.out, p.cut...)
		}
		if len(own) == 0 {
			b.out = append(b.out, text...)
		} else {
			b.out = appendRedacted(b.out, text, own, b.raw)
			spans = spans[len(own):]
		}
		b.out = append(b.out, '\n')
		b.lines++
		b.raw += n
		if whole && b.raw < len(data) {
			b.raw++ // the newline
		}
	}
	return b
}

// nextLine returns the text of the first line of data without its newline, or nil if it has not ended yet.
// whole is false for a part of a line that is too long.
func nextLine(data []byte, limit int, rest bool) (text []byte, whole bool) {
	i := bytes.IndexByte(data, '\n')
	switch {
	case i > limit, i < 0 && len(data) > limit:
		return data[:runeBorder(data, limit)], false
	case i >= 0:
		return data[:i], true
	case rest:
		return data, true
	}
	return nil, false
}

// runeBorder moves a cut at n back so that it does not divide a character.
func runeBorder(data []byte, n int) int {
	for i := n; i > n-utf8.UTFMax && i > 0; i-- {
		if utf8.RuneStart(data[i]) {
			return i
		}
	}
	return n // not UTF-8
}

// parsed is a line of a log file taken apart. text points into the line.
type parsed struct {
	at   time.Time
	run  uint64
	flag byte
	text []byte
}

// parse takes a line without its newline apart. ok is false if it is not one of ours.
func parse(line []byte) (l parsed, ok bool) {
	if len(line) < stampLen+3 || line[stampLen] != ' ' || line[stampLen-1] != 'Z' {
		return l, false
	}
	at, ok := parseStamp(line[:stampLen])
	if !ok {
		return l, false
	}
	rest := line[stampLen+1:]
	end := bytes.IndexByte(rest, ' ')
	if end < 1 || end > 21 {
		return l, false
	}
	number := rest[:end]
	if c := number[end-1]; c == flagCut || c == flagOurs {
		l.flag, number = c, number[:end-1]
	}
	run, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		return l, false
	}
	l.at, l.run, l.text = at, run, rest[end+1:]
	return l, true
}

// parseStamp reads [stampLayout]; time.Parse takes eight times as long, and a query reads millions of them.
func parseStamp(s []byte) (time.Time, bool) {
	var n [7]int
	for i, f := range [7][2]int{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}, {20, 23}} {
		for _, c := range s[f[0]:f[1]] {
			if c < '0' || c > '9' {
				return time.Time{}, false
			}
			n[i] = n[i]*10 + int(c-'0')
		}
	}
	if s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[19] != '.' {
		return time.Time{}, false
	}
	return time.Date(n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], n[6]*int(time.Millisecond), time.UTC), true
}

// textBytes counts what the services themselves wrote of whole lines of a log: text and newline.
func textBytes(lines []byte) (n, size int) {
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n')
		if end < 0 {
			break
		}
		n++
		if l, ok := parse(lines[:end]); ok {
			size += len(l.text) + 1
		}
		lines = lines[end+1:]
	}
	return n, size
}
