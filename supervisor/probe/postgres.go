package probe

import (
	"bytes"
	"context"
	"encoding/binary"
)

// The start-up packet of protocol 3.0, and SQLSTATEs of its refusals. Source: PostgreSQL 15, "Frontend/Backend Protocol", "Error Codes".
const (
	postgresProtocol = 3 << 16
	cannotConnectNow = "57P03" // starting up, in recovery, shutting down
	tooManyClients   = "53300"
	postgresMaxReply = 8 << 10
)

// askPostgres sends a start-up packet and looks at the first message of the answer, as pg_isready does: a demand for a password is as good as a welcome.
// The listener opens before recovery ends, so a connection alone says nothing.
func askPostgres(ctx context.Context, address string) error {
	conn, stop, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer stop()
	if _, err := conn.Write(startupPacket("postgres", "postgres")); err != nil {
		return err
	}
	buf, err := readUntil(conn, make([]byte, 0, 512), postgresMaxReply, wholeMessage)
	if len(buf) == 0 || err != nil {
		return noAnswer(buf, err)
	}
	switch buf[0] {
	case 'R': // AuthenticationOk, or what it wants; closing now leaves no line in the server's log, a Terminate would
		return nil
	case 'E':
		return postgresError(buf)
	default:
		return answered("not PostgreSQL: %s", printable(buf, bodyPart))
	}
}

func startupPacket(user, database string) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4, 64), postgresProtocol)
	for _, word := range []string{"user", user, "database", database, "application_name", userAgent, ""} {
		b = append(append(b, word...), 0)
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// wholeMessage knows a complete first message, and what is none.
func wholeMessage(b []byte) bool {
	if len(b) > 0 && b[0] != 'R' && b[0] != 'E' {
		return true
	}
	return len(b) >= 5 && uint64(len(b)) > uint64(binary.BigEndian.Uint32(b[1:5]))
}

// postgresError is nil for an error that only a running server gives: no such role, no entry in pg_hba.conf.
func postgresError(message []byte) error {
	fields := map[byte]string{}
	for _, f := range bytes.Split(message[5:], []byte{0}) {
		if len(f) > 1 {
			fields[f[0]] = string(f[1:])
		}
	}
	if code := fields['C']; code == cannotConnectNow || code == tooManyClients {
		return answered("%s (%s)", printable([]byte(fields['M']), bodyPart), code)
	}
	if fields['C'] == "" {
		return answered("not PostgreSQL: %s", printable(message, bodyPart))
	}
	return nil
}
