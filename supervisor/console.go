package supervisor

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// console is the handler of the appliance's own events: one plain line each for a person, or JSON.
type console struct {
	mu  *sync.Mutex
	w   io.Writer
	pre string
}

func newConsole(w io.Writer, asJSON bool) slog.Handler {
	if asJSON {
		return slog.NewJSONHandler(w, nil)
	}
	return &console{mu: &sync.Mutex{}, w: w}
}

func (c *console) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (c *console) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Time.UTC().Format("15:04:05.000 "))
	if r.Level != slog.LevelInfo {
		b.WriteString(strings.ToLower(r.Level.String()) + ": ")
	}
	b.WriteString(r.Message + c.pre)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(attr(a))
		return true
	})
	b.WriteByte('\n')
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := io.WriteString(c.w, b.String())
	return err
}

func attr(a slog.Attr) string {
	v := a.Value.Resolve()
	text := v.String()
	if v.Kind() == slog.KindTime {
		text = v.Time().UTC().Format(time.RFC3339)
	}
	switch a.Key {
	case "err":
		return ": " + text
	case "remedy":
		return "\n             " + text
	}
	return fmt.Sprintf("  %s %s", a.Key, text)
}

func (c *console) WithAttrs(attrs []slog.Attr) slog.Handler {
	pre := c.pre
	for _, a := range attrs {
		pre += attr(a)
	}
	return &console{c.mu, c.w, pre}
}

func (c *console) WithGroup(string) slog.Handler { return c }
