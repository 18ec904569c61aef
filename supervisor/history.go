package supervisor

import (
	"context"
	"iter"
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/logs"
)

// event keeps one event, and shows it to whoever watches the appliance's own output.
func (s *Supervisor) event(ev api.Event) {
	if ev.At.IsZero() {
		ev.At = api.Time{Time: time.Now()}
	}
	s.store.Append(ev)
	s.announce(ev)
}

// announce prints what a person at the terminal wants to know: what became ready, what failed and why.
func (s *Supervisor) announce(ev api.Event) {
	if ev.Service == doorName && ev.To == api.Ready {
		return
	}
	switch {
	case ev.Kind == "adopted":
		s.log.Info(ev.Service + ": " + ev.Message)
	case ev.Kind != "state":
	case ev.To == api.Ready || ev.To == api.Stopped:
		s.log.Info(ev.Service + " is " + string(ev.To) + suffix(ev.Message))
	case ev.To == api.Backoff || ev.To == api.Failed || ev.To == api.Unkillable || ev.To == api.Degraded:
		args := []any{}
		if remedy := ev.Evidence["remedy"]; remedy != "" {
			args = append(args, "remedy", remedy)
		}
		s.log.Warn(ev.Service+" is "+string(ev.To)+suffix(ev.Message), args...)
	}
}

func suffix(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

// Events reads the history.
func (s *Supervisor) Events(ctx context.Context, q api.EventQuery) iter.Seq2[api.Event, error] {
	chosen, err := s.resolveAll(q.Services)
	if err != nil {
		return failed[api.Event](err)
	}
	q.Services = chosen
	return s.store.Events(ctx, q)
}

// Logs reads the logs of the services asked for.
func (s *Supervisor) Logs(ctx context.Context, q api.LogQuery) iter.Seq2[api.LogLine, error] {
	chosen, err := s.resolveAll(q.Services)
	if err != nil {
		return failed[api.LogLine](err)
	}
	q.Services = chosen
	return logs.Query(ctx, s.host.logs.Dir, q)
}

// resolveAll is resolve with the door among the names, and none left as none.
func (s *Supervisor) resolveAll(names []string) (out []string, err error) {
	var rest []string
	for _, name := range names {
		if name == doorName {
			out = append(out, name)
		} else {
			rest = append(rest, name)
		}
	}
	if len(rest) == 0 {
		return out, nil
	}
	more, err := s.resolve(rest)
	return append(out, more...), err
}

func failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		yield(none, err)
	}
}
