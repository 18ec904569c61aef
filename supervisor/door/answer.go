package door

import (
	"bytes"
	"errors"
	"fmt"
)

// answerHead is a status line with its header fields, reused for the next answer.
type answerHead struct {
	status  int
	line    []byte // from the status code on: "200 OK"
	fields  []field
	length  int64 // -1: none given
	chunked bool
	close   bool // the backend will close
}

var errAnswer = errors.New("the backend's answer is not HTTP/1")

// parse reads a whole head, as delimited by headEnd.
func (a *answerHead) parse(buf []byte) error {
	*a = answerHead{fields: a.fields[:0], length: -1}
	line, rest, _ := bytes.Cut(buf, crlf)
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' || line[7] != '0' && line[7] != '1' {
		return fmt.Errorf("%w: status line %.60q", errAnswer, line)
	}
	a.close = line[7] == '0'
	a.line = line[9:]
	code, ok := parseLength(line[9:12])
	if !ok || code < 100 || len(line) > 12 && line[12] != ' ' || !isFieldValue(a.line) {
		return fmt.Errorf("%w: status line %.60q", errAnswer, line)
	}
	a.status = int(code)
	var err error
	if a.fields, err = parseFields(rest, a.fields); err != nil {
		return fmt.Errorf("%w: %w", errAnswer, err)
	}
	return a.interpret()
}

func (a *answerHead) interpret() error {
	for i := range a.fields {
		f := &a.fields[i]
		switch f.kind {
		case lengthField:
			n, ok := parseLength(f.value)
			if !ok || a.length >= 0 {
				return fmt.Errorf("%w: Content-Length %.60q", errAnswer, f.value)
			}
			a.length = n
		case encodingField:
			if a.chunked || !equalFold(f.value, "chunked") {
				return fmt.Errorf("%w: Transfer-Encoding %.60q", errAnswer, f.value)
			}
			a.chunked = true
		case connectionField:
			if err := a.connectionOptions(f.value); err != nil {
				return err
			}
		}
	}
	if a.chunked && a.length >= 0 {
		return fmt.Errorf("%w: both Content-Length and Transfer-Encoding", errAnswer)
	}
	return nil
}

// connectionOptions marks the fields that Connection names as meant for us only.
func (a *answerHead) connectionOptions(value []byte) error {
	for len(value) > 0 {
		var option []byte
		option, value, _ = bytes.Cut(value, []byte{','})
		option = bytes.Trim(option, " \t")
		if equalFold(option, "close") {
			a.close = true
			continue
		}
		for i := range a.fields {
			f := &a.fields[i]
			if bytes.EqualFold(f.name, option) {
				if f.kind == lengthField || f.kind == encodingField {
					return fmt.Errorf("%w: Connection names %q", errAnswer, option)
				}
				f.kind = hopField
			}
		}
	}
	return nil
}

// hasBody follows RFC 9112 section 6.3.
func (a *answerHead) hasBody(toHead bool) bool {
	return !toHead && a.status >= 200 && a.status != 204 && a.status != 304
}

// append writes the head for the client; closing says that the connection ends after it.
func (a *answerHead) append(out []byte, closing bool) []byte {
	out = append(out, "HTTP/1.1 "...)
	out = append(out, a.line...)
	out = append(out, crlf...)
	for i := range a.fields {
		f := &a.fields[i]
		switch f.kind {
		case connectionField, hopField, upgradeField, teField:
			continue
		}
		out = appendField(out, f.name, f.value)
	}
	if closing {
		out = append(out, "Connection: close\r\n"...)
	}
	return append(out, crlf...)
}

func appendField(out, name, value []byte) []byte {
	out = append(out, name...)
	out = append(out, ": "...)
	out = append(out, value...)
	return append(out, crlf...)
}
