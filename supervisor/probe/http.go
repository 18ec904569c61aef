package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxHead  = 8 << 10 // bytes of status line and headers that are looked at
	bodyPart = 200     // bytes of a refusing answer's body that are evidence
)

// userAgent is how a service's access log names us.
const userAgent = "sourcegraph-appliance-probe"

// askHTTP sends one HTTP/1.1 request and reads the status line; of an answer other than 2xx also the beginning of the body.
func askHTTP(ctx context.Context, address, path string) error {
	conn, stop, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer stop()
	request := "GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: " + userAgent + "\r\nAccept: */*\r\nConnection: close\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		return err
	}
	buf := make([]byte, 0, 1024)
	buf, err = readUntil(conn, buf, maxHead, func(b []byte) bool { return bytes.IndexByte(b, '\n') >= 0 })
	line, _, whole := bytes.Cut(buf, []byte("\n"))
	if !whole {
		return noAnswer(buf, err)
	}
	code, err := statusCode(line)
	if err != nil || code/100 == 2 {
		return err
	}
	buf, _ = readUntil(conn, buf, maxHead+bodyPart, func(b []byte) bool { // what came in time is enough
		_, body, found := bytes.Cut(b, []byte("\r\n\r\n"))
		return found && len(body) >= bodyPart
	})
	_, body, _ := bytes.Cut(buf, []byte("\r\n\r\n"))
	return answered("%d %s", code, printable(body, bodyPart))
}

// statusCode reads "HTTP/1.1 200 OK".
func statusCode(line []byte) (int, error) {
	fields := strings.Fields(string(line))
	if len(fields) < 2 || !strings.HasPrefix(fields[0], "HTTP/1.") {
		return 0, answered("not HTTP: %s", printable(line, bodyPart))
	}
	code, err := strconv.Atoi(fields[1])
	if err != nil || code < 100 || code > 599 {
		return 0, answered("not HTTP: %s", printable(line, bodyPart))
	}
	return code, nil
}

// readUntil appends to buf until enough, limit bytes, or an error, which is io.EOF at the peer's end.
func readUntil(r io.Reader, buf []byte, limit int, enough func([]byte) bool) ([]byte, error) {
	for !enough(buf) {
		if len(buf) >= limit {
			return buf, fmt.Errorf("more than %d bytes", limit)
		}
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):min(cap(buf), limit)])
		buf = buf[:len(buf)+n]
		if err != nil && !enough(buf) {
			return buf, err
		}
	}
	return buf, nil
}

// noAnswer tells a connection that ended without a word, or in the middle of one, from one that ran out of time.
func noAnswer(got []byte, err error) error {
	switch {
	case errors.Is(err, io.EOF) && len(got) == 0:
		return answered("closed without an answer")
	case errors.Is(err, io.EOF):
		return answered("closed in the middle of an answer: %s", printable(got, bodyPart))
	default:
		return err
	}
}

// printable is the beginning of what a service sent, on one line and without control characters.
func printable(b []byte, limit int) string {
	if len(b) > limit {
		b = b[:limit]
		for range utf8.UTFMax - 1 { // a character cut in two
			if r, size := utf8.DecodeLastRune(b); r != utf8.RuneError || size != 1 {
				break
			}
			b = b[:len(b)-1]
		}
	}
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(b), "?")), " ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
