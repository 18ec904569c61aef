package probe

import (
	"bytes"
	"context"
	"io"
)

// askRedis sends PING. A demand for a password is as good as PONG; LOADING is the time before the data set is read.
func askRedis(ctx context.Context, address string) error {
	conn, stop, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer stop()
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	buf, err := readUntil(conn, make([]byte, 0, 128), 4096, func(b []byte) bool { return bytes.IndexByte(b, '\n') >= 0 })
	line, _, whole := bytes.Cut(buf, []byte("\r\n"))
	if !whole {
		if err == nil {
			return answered("not Redis: %s", printable(buf, bodyPart))
		}
		return noAnswer(buf, err)
	}
	if bytes.Equal(line, []byte("+PONG")) || bytes.HasPrefix(line, []byte("-NOAUTH")) {
		return nil
	}
	return answered("%s", printable(line, bodyPart))
}
