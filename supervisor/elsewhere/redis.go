package elsewhere

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"

	"github.com/sourcegraph/appliance/services"
)

// checkRedis signs in and asks for the role: a replica takes no writes.
func checkRedis(ctx context.Context, r services.RedisServer, secrets map[string]string) error {
	where := "Redis at " + r.Address()
	conn, err := dialRedis(ctx, r)
	if err != nil {
		return &Fault{where, reason(ctx, err), "see that it runs, listens on that address, and that this machine may reach it"}
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	s := redisSession{conn, bufio.NewReader(conn)}
	if r.PasswordSecret != "" {
		login := []string{"AUTH", secrets[r.PasswordSecret]}
		if r.User != "" {
			login = []string{"AUTH", r.User, secrets[r.PasswordSecret]}
		}
		if answer, err := s.ask(login...); err != nil {
			return &Fault{where, reason(ctx, err), "see its own log"}
		} else if strings.HasPrefix(answer, "-") {
			return &Fault{where, "it refuses the password: " + answer[1:], "write the right one into the secret " + r.PasswordSecret + ", then reload"}
		}
	}
	answer, err := s.ask("PING")
	switch {
	case err != nil:
		return &Fault{where, reason(ctx, err), "see its own log"}
	case strings.HasPrefix(answer, "-NOAUTH"):
		return &Fault{where, "it demands a password", "name the secret that holds it: password_secret"}
	case answer != "+PONG":
		return &Fault{where, "it answers " + strings.TrimLeft(answer, "-+"), "see its own log"}
	}
	if role, err := s.role(); err == nil && role == "slave" {
		return &Fault{where, "it is a replica, which takes no writes", "name the primary's address"}
	}
	return nil
}

func dialRedis(ctx context.Context, r services.RedisServer) (net.Conn, error) {
	if r.TLS {
		return (&tls.Dialer{}).DialContext(ctx, "tcp", r.Address())
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", r.Address())
}

// redisSession speaks RESP 2. src: Redis: "RESP protocol specification"
type redisSession struct {
	conn net.Conn
	in   *bufio.Reader
}

// ask sends one command and returns the first line of its answer.
func (s redisSession) ask(words ...string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := s.conn.Write([]byte(b.String())); err != nil {
		return "", err
	}
	return s.line()
}

func (s redisSession) line() (string, error) {
	line, err := s.in.ReadSlice('\n') // an answer that does not fit the buffer is none of Redis
	return strings.TrimRight(string(line), "\r\n"), err
}

// role is the first word of ROLE: master, slave or sentinel. A server that forbids the command is asked no further.
func (s redisSession) role() (string, error) {
	if line, err := s.ask("ROLE"); err != nil || !strings.HasPrefix(line, "*") {
		return "", err
	}
	if _, err := s.line(); err != nil { // the length of the word
		return "", err
	}
	return s.line()
}
