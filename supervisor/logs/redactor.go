package logs

import (
	"bytes"
	"encoding/binary"
	"net/url"
	"sort"
	"sync/atomic"
)

const redacted = "[redacted]"

// shortestSecret is the length from which a known secret is looked for: the scan below needs six bytes, and shorter values
// ("admin") would tear holes into innocent lines.
const shortestSecret = 6

// Redactor finds secrets in what services print: known values, passwords in addresses (postgres://user:PASSWORD@host), and values
// behind a key (password=, token:, Authorization:).
//
// It is made for blocks without secrets. Of every four bytes three are hashed into a table that knows four consecutive such
// places of each pattern: every pattern of six bytes or more hits it wherever it begins. Addresses are found by their "@".
type Redactor struct {
	m atomic.Pointer[matcher]
}

// NewRedactor returns a redactor that knows keys and addresses, and the given secret values.
func NewRedactor(secrets ...string) *Redactor {
	r := &Redactor{}
	r.Set(secrets)
	return r
}

// Set replaces the known secret values; values shorter than six bytes are not looked for. Their form in a URL is looked for too.
func (r *Redactor) Set(secrets []string) {
	m := newMatcher()
	for _, s := range secrets {
		m.addSecret(s)
		if q := url.QueryEscape(s); q != s {
			m.addSecret(q)
		}
		if p := url.PathEscape(s); p != s {
			m.addSecret(p)
		}
	}
	r.m.Store(m)
}

// String redacts one line, for texts that do not come from a log.
func (r *Redactor) String(line string) string {
	data := []byte(line)
	spans := r.find(data, nil)
	if len(spans) == 0 {
		return line
	}
	return string(appendRedacted(nil, data, spans, 0))
}

// find appends the places of secrets in data to spans, in order and without overlap. A nil redactor finds nothing.
func (r *Redactor) find(data []byte, spans []span) []span {
	if r == nil {
		return spans
	}
	m := r.m.Load()
	spans = m.scan(data, spans)
	spans = addresses(data, spans)
	return tidy(spans)
}

// span is a secret's place, [from, to).
type span struct{ from, to int }

func tidy(spans []span) []span {
	if len(spans) < 2 {
		return spans
	}
	sort.Slice(spans, func(i, j int) bool { return spans[i].from < spans[j].from })
	out := spans[:1]
	for _, s := range spans[1:] {
		if last := &out[len(out)-1]; s.from < last.to {
			last.to = max(last.to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// spansUntil returns the leading spans that begin before end.
func spansUntil(spans []span, end int) []span {
	n := 0
	for n < len(spans) && spans[n].from < end {
		n++
	}
	return spans[:n]
}

// beforeSpan moves the cut of a long line, n bytes behind from, before a secret that it would divide.
func beforeSpan(spans []span, from, n int) int {
	for _, s := range spans {
		if s.from > from && s.from < from+n && s.to > from+n {
			return s.from - from
		}
	}
	return n
}

// appendRedacted appends text, which begins at offset, with its spans replaced.
func appendRedacted(dst, text []byte, spans []span, offset int) []byte {
	at := 0
	for _, s := range spans {
		from, to := max(s.from-offset, at), min(s.to-offset, len(text))
		if from > to {
			continue
		}
		dst = append(dst, text[at:from]...)
		dst = append(dst, redacted...)
		at = to
	}
	return append(dst, text[at:]...)
}

// pattern is one thing to look for.
type pattern struct {
	folded []byte                                      // lower case
	exact  []byte                                      // a secret value; nil for a key
	value  func(data []byte, at int) (s span, ok bool) // for a key: where its value is; at is behind the key
}

// place says that a pattern may begin offset bytes before.
type place struct {
	pattern *pattern
	offset  int
}

const tableBits = 13

// matcher is a compiled set of patterns. It does not change.
type matcher struct {
	table  [1 << tableBits]uint16 // 0 is nothing, else an index into places
	places [][]place
}

func newMatcher() *matcher {
	m := &matcher{places: make([][]place, 1)}
	for _, k := range []string{"password", "passwd", "secret", "apikey", "api_key", "api-key", "private_key", "access_key", "secret_key"} {
		m.add(&pattern{folded: []byte(k), value: anyValue})
	}
	for _, k := range []string{"token=", "token:", "token\""} {
		m.add(&pattern{folded: []byte(k), value: tokenValue})
	}
	m.add(&pattern{folded: []byte("authorization"), value: headerValue})
	m.add(&pattern{folded: []byte("bearer "), value: bearerValue})
	return m
}

func (m *matcher) addSecret(s string) {
	if len(s) < shortestSecret {
		return
	}
	exact := []byte(s)
	m.add(&pattern{folded: fold(exact), exact: exact})
}

// add enters the pattern at four consecutive offsets. The scan looks at every fourth place, so it meets one of them.
func (m *matcher) add(p *pattern) {
	for offset := range 4 {
		h := hash(uint64(p.folded[offset]) | uint64(p.folded[offset+1])<<8 | uint64(p.folded[offset+2])<<16)
		if m.table[h] == 0 {
			if len(m.places) > 1<<16-1 {
				return // more than 16,000 secrets: not ours
			}
			m.places = append(m.places, nil)
			m.table[h] = uint16(len(m.places) - 1)
		}
		i := m.table[h]
		m.places[i] = append(m.places[i], place{p, offset})
	}
}

// fold makes letters lower case the way the scan does, by setting one bit; it also maps some other bytes, always alike.
func fold(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[i] = c | 0x20
	}
	return out
}

func hash(three uint64) uint32 { return uint32(three) * 0x9E3779B1 >> (32 - tableBits) }

func (m *matcher) scan(data []byte, spans []span) []span {
	const lower, three = 0x2020202020202020, 0xFFFFFF
	at := 0
	for ; at+8 <= len(data); at += 8 {
		w := binary.LittleEndian.Uint64(data[at:]) | lower
		if i := m.table[hash(w&three)]; i != 0 {
			spans = m.verify(data, at, i, spans)
		}
		if i := m.table[hash(w>>32&three)]; i != 0 {
			spans = m.verify(data, at+4, i, spans)
		}
	}
	for ; at+3 <= len(data); at += 4 {
		w := uint64(data[at]) | uint64(data[at+1])<<8 | uint64(data[at+2])<<16 | lower&three
		if i := m.table[hash(w)]; i != 0 {
			spans = m.verify(data, at, i, spans)
		}
	}
	return spans
}

func (m *matcher) verify(data []byte, at int, i uint16, spans []span) []span {
	for _, c := range m.places[i] {
		from := at - c.offset
		end := from + len(c.pattern.folded)
		if from < 0 || end > len(data) {
			continue
		}
		if c.pattern.exact != nil {
			if bytes.Equal(data[from:end], c.pattern.exact) {
				spans = append(spans, span{from, end})
			}
			continue
		}
		if !equalFolded(data[from:end], c.pattern.folded) {
			continue
		}
		if s, ok := c.pattern.value(data, end); ok {
			spans = append(spans, s)
		}
	}
	return spans
}

func equalFolded(b, folded []byte) bool {
	for i, c := range folded {
		if b[i]|0x20 != c|0x20 {
			return false
		}
	}
	return true
}
