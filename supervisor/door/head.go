package door

import (
	"bytes"
	"net/http"
	"strings"
)

// refusal is an HTTP answer that ends the connection: the request cannot be understood in one way only, or is not for us.
type refusal struct {
	status int
	reason string
}

func (r *refusal) Error() string { return http.StatusText(r.status) + ": " + r.reason }

func bad(reason string) *refusal { return &refusal{http.StatusBadRequest, reason} }

// maxFields bounds the header fields of one head.
const maxFields = 128

// kind is what a header field means to a proxy.
type kind uint8

const (
	plain kind = iota
	hostField
	lengthField
	encodingField   // Transfer-Encoding
	connectionField // Connection
	upgradeField
	expectField
	teField
	hopField       // other fields for one hop only
	forwardField   // X-Forwarded-*, X-Real-IP, Forwarded but the ones below
	forwardedFor   // X-Forwarded-For
	forwardedProto // X-Forwarded-Proto
	forwardedHost  // X-Forwarded-Host
	forwarded      // Forwarded (RFC 7239)
	realIP         // X-Real-IP
)

// classify needs no canonical case and does not allocate.
func classify(name []byte) kind {
	var low [24]byte // longer than every name below
	n := copy(low[:], name)
	for i, c := range low[:n] {
		if 'A' <= c && c <= 'Z' {
			low[i] = c + 'a' - 'A'
		}
	}
	if n >= 12 && string(low[:12]) == "x-forwarded-" {
		switch string(low[12:n]) {
		case "for":
			return forwardedFor
		case "proto":
			return forwardedProto
		case "host":
			return forwardedHost
		}
		return forwardField
	}
	if len(name) > n {
		return plain
	}
	switch string(low[:n]) {
	case "host":
		return hostField
	case "content-length":
		return lengthField
	case "transfer-encoding":
		return encodingField
	case "connection":
		return connectionField
	case "upgrade":
		return upgradeField
	case "expect":
		return expectField
	case "te":
		return teField
	case "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization":
		return hopField
	case "forwarded":
		return forwarded
	case "x-real-ip":
		return realIP
	}
	return plain
}

// field is one header field; both slices point into the buffer that was parsed.
type field struct {
	name, value []byte
	kind        kind
}

// requestHead is a request line with its header fields. It is reused for the next request of a connection.
type requestHead struct {
	method, target []byte
	minor          int // of HTTP/1.x
	fields         []field
	host           []byte
	length         int64 // of the body; -1: no Content-Length
	chunked        bool
	close          bool // Connection: close
	unusual        bool // asks for something beyond plain forwarding: Upgrade, Expect, TE, fields named in Connection
}

// headEnd finds the end of a head in buf, whose first from bytes were searched before: the index after the empty line, 0 if it is not there yet.
// Lines that end without CR are refused: proxies that differ on them can be made to see different requests.
func headEnd(buf []byte, from int) (int, error) {
	for i := from; ; {
		j := bytes.IndexByte(buf[i:], '\n')
		if j < 0 {
			return 0, nil
		}
		i += j
		if i == 0 || buf[i-1] != '\r' {
			return 0, bad("a line of the head does not end in CRLF")
		}
		if i == 1 {
			return 0, bad("the request line is empty")
		}
		if i >= 3 && buf[i-2] == '\n' {
			return i + 1, nil
		}
		i++
	}
}

// parse reads a whole head, as delimited by headEnd. It accepts less than net/http does, and never reads anything differently (FuzzHead).
func (h *requestHead) parse(buf []byte) error {
	*h = requestHead{fields: h.fields[:0], length: -1}
	line, rest, _ := bytes.Cut(buf, crlf)
	if err := h.parseLine(line); err != nil {
		return err
	}
	var err error
	if h.fields, err = parseFields(rest, h.fields); err != nil {
		return err
	}
	return h.interpret()
}

var crlf = []byte("\r\n")

func (h *requestHead) parseLine(line []byte) error {
	method, rest, ok1 := bytes.Cut(line, []byte{' '})
	target, proto, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok1 || !ok2 || !isToken(method) || !bytes.HasPrefix(proto, []byte("HTTP/")) {
		return bad("the request line is not METHOD TARGET HTTP/1.1")
	}
	switch string(proto) {
	case "HTTP/1.1":
		h.minor = 1
	case "HTTP/1.0":
	default:
		return &refusal{http.StatusHTTPVersionNotSupported, "the protocol is neither HTTP/1.1 nor HTTP/1.0"}
	}
	h.method, h.target = method, target
	if string(method) == http.MethodConnect {
		return &refusal{http.StatusMethodNotAllowed, "CONNECT is not offered here"}
	}
	return checkTarget(target)
}

// checkTarget accepts printable ASCII without fragment, with well-formed escapes in the path.
func checkTarget(target []byte) error {
	if len(target) == 0 {
		return bad("the request target is empty")
	}
	query := false
	for i := 0; i < len(target); i++ {
		switch c := target[i]; {
		case c <= ' ' || c >= 0x7f || c == '#':
			return bad("the request target has a character that must be escaped")
		case c == '?':
			query = true
		case c == '%' && !query:
			if i+2 >= len(target) || !isHex(target[i+1]) || !isHex(target[i+2]) {
				return bad("the request target has a malformed escape")
			}
		}
	}
	return nil
}

// parseFields reads header or trailer lines up to the empty one.
func parseFields(buf []byte, fields []field) ([]field, error) {
	for {
		line, rest, ok := bytes.Cut(buf, crlf)
		if !ok {
			return fields, bad("a header line does not end in CRLF")
		}
		if len(line) == 0 {
			return fields, nil
		}
		if len(fields) == maxFields {
			return fields, &refusal{http.StatusRequestHeaderFieldsTooLarge, "too many header fields"}
		}
		name, value, ok := bytes.Cut(line, []byte{':'})
		if !ok || !isToken(name) { // also a folded line, and a space before the colon
			return fields, bad("a header line is not NAME: VALUE")
		}
		value = bytes.Trim(value, " \t")
		if !isFieldValue(value) {
			return fields, bad("a header value has a control character")
		}
		fields = append(fields, field{name, value, classify(name)})
		buf = rest
	}
}

// interpret finds what decides where the request ends, and who it is for.
func (h *requestHead) interpret() error {
	hosts := 0
	for i := range h.fields {
		f := &h.fields[i]
		switch f.kind {
		case hostField:
			hosts++
			h.host = f.value
		case lengthField:
			n, ok := parseLength(f.value)
			if !ok || h.length >= 0 {
				return bad("Content-Length is not one number")
			}
			h.length = n
		case encodingField:
			if h.chunked || !bytes.EqualFold(f.value, []byte("chunked")) {
				return &refusal{http.StatusNotImplemented, "the only Transfer-Encoding understood is chunked"}
			}
			h.chunked = true
		case connectionField:
			h.connectionOptions(f.value)
		case upgradeField, expectField, teField:
			h.unusual = true
		}
	}
	if h.chunked && (h.length >= 0 || h.minor == 0) {
		return bad("Transfer-Encoding together with Content-Length, or in HTTP/1.0")
	}
	if hosts > 1 || hosts == 0 && h.minor == 1 || !isHost(h.host) {
		return bad("there must be one valid Host")
	}
	return h.checkAuthority()
}

func (h *requestHead) connectionOptions(value []byte) {
	for len(value) > 0 {
		var option []byte
		option, value, _ = bytes.Cut(value, []byte{','})
		switch option = bytes.Trim(option, " \t"); {
		case len(option) == 0, equalFold(option, "keep-alive"):
		case equalFold(option, "close"):
			h.close = true
		default:
			h.unusual = true
		}
	}
}

// checkAuthority refuses a request that names another host in its target than in its Host: it was meant for a forward proxy, or to confuse one.
func (h *requestHead) checkAuthority() error {
	if h.target[0] == '/' {
		return nil
	}
	h.unusual = true
	if string(h.target) == "*" && string(h.method) == http.MethodOptions {
		return nil
	}
	scheme, rest, _ := bytes.Cut(h.target, []byte("://"))
	if !equalFold(scheme, "http") && !equalFold(scheme, "https") {
		return bad("the request target is not a path")
	}
	authority := rest
	if i := bytes.IndexAny(rest, "/?"); i >= 0 {
		authority = rest[:i]
	}
	if len(authority) == 0 || !bytes.EqualFold(authority, h.host) {
		return &refusal{http.StatusMisdirectedRequest, "this is not a forward proxy: the target names another host"}
	}
	return nil
}

// safe methods change nothing, so that they may be sent twice (RFC 9110 section 9.2.1, less TRACE).
func safeMethod[T string | []byte](m T) bool {
	return string(m) == http.MethodGet || string(m) == http.MethodHead || string(m) == http.MethodOptions
}

// parseLength reads digits only: no sign, no list, at most 18 of them.
func parseLength(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 18 {
		return 0, false
	}
	var n int64
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func equalFold(b []byte, s string) bool {
	return len(b) == len(s) && bytes.EqualFold(b, []byte(s))
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// isToken as in RFC 9110 section 5.6.2.
func isToken(b []byte) bool {
	for _, c := range b {
		if !isAlnum(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

func isFieldValue(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isHost accepts host, host:port, [v6]:port and the empty host, in characters that need no quoting anywhere.
func isHost(b []byte) bool {
	for _, c := range b {
		if !isAlnum(c) && strings.IndexByte("-._~%!$&'()*+;=:[]", c) < 0 {
			return false
		}
	}
	return true
}
