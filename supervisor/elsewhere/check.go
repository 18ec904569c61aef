package elsewhere

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

// Asks reports whether the probe is about something elsewhere.
func Asks(p services.Probe) bool {
	return len(p.Databases) > 0 || p.RedisServer != nil || p.Storage != nil
}

// Fault is what keeps a server elsewhere from being used.
type Fault struct {
	Where  string // PostgreSQL at db:5432, database sg
	What   string // in a person's words, without a secret
	Remedy string
}

func (f *Fault) Error() string { return f.Where + ": " + f.What }

// Hint is what to do about it.
func (f *Fault) Hint() string { return f.Remedy }

// Check asks once, within the probe's timeout. The error is a [*Fault]; secrets are by name.
func Check(ctx context.Context, p services.Probe, secrets map[string]string) error {
	ctx, cancel := context.WithTimeout(ctx, max(p.Timeout, time.Second))
	defer cancel()
	switch {
	case p.RedisServer != nil:
		return checkRedis(ctx, *p.RedisServer, secrets)
	case p.Storage != nil:
		return checkStorage(ctx, *p.Storage, secrets)
	}
	for _, d := range p.Databases {
		if err := checkDatabase(ctx, d, secrets); err != nil {
			return err
		}
	}
	return nil
}

// reason is a failure to reach a server in few words.
func reason(ctx context.Context, err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("there is no host %q", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: nothing listens there"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to it"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), ctx.Err() != nil:
		return "no answer in time"
	}
	return err.Error()
}
