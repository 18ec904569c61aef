package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/sourcegraph/appliance/services"
)

// DefaultTimeout applies to a probe that has none.
const DefaultTimeout = 2 * time.Second

// Target is the instance that is asked.
type Target struct {
	Addresses map[string]string // port name -> host:port

	// Exec runs a command as the service's user in its cgroup and returns nil if it exited 0. It must kill all that the command started when ctx ends.
	// nil: exec probes are an error.
	Exec func(ctx context.Context, argv []string) error
}

// Result is one answer.
type Result struct {
	OK     bool
	Detail string // what was asked and what came back, for people: evidence of a failure
	Err    error  // nil if OK
	Took   time.Duration
}

// Prober does probes. The zero value is ready, and may be used by many goroutines.
type Prober struct{}

// Do asks once, within p.Timeout and ctx, whichever ends first. Log and Notify probes cannot be asked: they are an error.
func (Prober) Do(ctx context.Context, p services.Probe, target Target) Result {
	begun := time.Now()
	timeout := p.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	detail, err := ask(ctx, p, target)
	r := Result{OK: err == nil, Detail: detail, Err: err, Took: time.Since(begun)}
	if err != nil {
		r.Detail = detail + ": " + explain(ctx, err, timeout)
		r.Err = fmt.Errorf("%s: %w", detail, err)
	}
	return r
}

func ask(ctx context.Context, p services.Probe, target Target) (detail string, err error) {
	if len(p.Exec) > 0 {
		return askExec(ctx, p.Exec, target)
	}
	address, ok := target.Addresses[p.Port]
	if !ok {
		return "probe", fmt.Errorf("port %q has no address", p.Port)
	}
	switch {
	case p.HTTP != "":
		return "GET http://" + address + p.HTTP, askHTTP(ctx, address, p.HTTP)
	case p.TCP:
		return "connect " + address, askTCP(ctx, address)
	case p.Postgres:
		return "postgres " + address, askPostgres(ctx, address)
	case p.Redis:
		return "redis PING " + address, askRedis(ctx, address)
	default:
		return "probe", errors.New("log and notify are not asked, they come by themselves")
	}
}

func askExec(ctx context.Context, argv []string, target Target) (string, error) {
	detail := fmt.Sprintf("exec %q", argv)
	if target.Exec == nil {
		return detail, errors.New("no way to run a command")
	}
	return detail, target.Exec(ctx, argv)
}

// explain is the reason in few words: no names of Go's functions, no address twice.
func explain(ctx context.Context, err error, timeout time.Duration) string {
	var answer *answerError
	switch {
	case errors.As(err, &answer):
		return answer.Error()
	case errors.Is(context.Cause(ctx), context.Canceled):
		return "cancelled"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	}
	return err.Error()
}

// answerError is an answer that means no.
type answerError struct{ text string }

func (e *answerError) Error() string { return e.text }

func answered(format string, args ...any) error { return &answerError{fmt.Sprintf(format, args...)} }

// dial connects with the context's deadline on everything that follows; stop must be called when the connection is done with.
func dial(ctx context.Context, address string) (conn net.Conn, stop func(), err error) {
	var d net.Dialer
	if conn, err = d.DialContext(ctx, "tcp", address); err != nil {
		return nil, nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	quiet := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() {
		quiet()
		_ = conn.Close()
	}, nil
}

func askTCP(ctx context.Context, address string) error {
	_, stop, err := dial(ctx, address)
	if err == nil {
		stop()
	}
	return err
}
