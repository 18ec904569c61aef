package supervisor

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/engine"
)

// maxChain bounds a causal chain: a plan's graph is not deeper.
const maxChain = 32

// lastLines is how much of a log `why` shows.
const lastLines = 5

// Why walks from a service to what its state follows from, newest cause first: its own state, then the needs that it waits for or that
// it lost, each with its evidence and the command to type next.
func (s *Supervisor) Why(ctx context.Context, name string) ([]api.Link, error) {
	chosen, err := s.resolveAll([]string{name})
	if err != nil {
		return nil, err
	}
	var chain []api.Link
	seen := map[string]bool{}
	for _, at := range chosen {
		follower := ""
		for at != "" && !seen[at] && len(chain) < maxChain {
			seen[at] = true
			v, ok := s.engine.View(at)
			if !ok {
				break
			}
			link := s.link(ctx, v)
			link.CauseOf = follower
			chain = append(chain, link)
			follower, at = at, causeOf(v)
		}
	}
	return chain, nil
}

// causeOf is the neighbour to ask next.
func causeOf(v engine.View) string {
	if v.State == api.Ready {
		return ""
	}
	if len(v.WaitingFor) > 0 {
		return v.WaitingFor[0]
	}
	return v.CausedBy
}

func (s *Supervisor) link(ctx context.Context, v engine.View) api.Link {
	l := api.Link{Service: v.Name, State: v.State, Message: explain(v), Evidence: map[string]string{}, At: api.Time{Time: v.Since}}
	for k, e := range v.Evidence {
		l.Evidence[k] = e
	}
	if v.LastExit != nil {
		l.Evidence["last_exit"] = exitText(*v.LastExit)
		if u := s.host.unit(v.Name); u != nil {
			tellCode(l.Evidence, u.instance().Restart, *v.LastExit)
		}
	}
	if u := s.host.unit(v.Name); u != nil && u.instance().Build != "" {
		l.Evidence["override"] = s.opts.Roster.Overrides[u.instance().Service] + ", build " + u.instance().Build
	}
	if v.StoppedBy != "" && !v.Wanted {
		l.Evidence["stopped_by"] = v.StoppedBy
	}
	if warned := s.warned.now(); v.Name == doorName && len(warned) > 0 {
		l.Message += ", with warnings: " + strings.Join(warned, "; ")
		l.LastLog, l.Next = s.host.unit(v.Name).pump.Tail(lastLines), "sourcegraph logs -n 50 "+doorName
		return l
	}
	switch v.State {
	case api.Backoff, api.Failed, api.Degraded, api.Unkillable, api.Starting:
		if u := s.host.unit(v.Name); u != nil {
			l.LastLog = u.pump.Tail(lastLines)
		}
	}
	if v.State == api.Unkillable {
		maps.Copy(l.Evidence, s.host.unkillableEvidence(v.Name))
	}
	l.Next = nextCommand(v, l.Evidence["remedy"])
	return l
}

func explain(v engine.View) string {
	text := fmt.Sprintf("%s is %s", v.Name, v.State)
	if v.Reason != "" {
		text += ": " + v.Reason
	}
	if v.State == api.Backoff && !v.Until.IsZero() {
		text += "; starts again at " + v.Until.UTC().Format("15:04:05.000") + " UTC"
	}
	return text
}

// tellCode adds what the exit code means to the program that chose it.
func tellCode(evidence map[string]string, r services.Restart, e api.Exit) {
	if meaning := r.Codes[e.Code]; meaning != "" && e.Signal == "" {
		evidence["exit_code_means"] = meaning
	}
}

func exitText(e api.Exit) string {
	if e.Signal != "" {
		return fmt.Sprintf("%s: signal %s at %s", e.Cause, e.Signal, e.At.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	return fmt.Sprintf("%s: status %d at %s", e.Cause, e.Code, e.At.UTC().Format("2006-01-02T15:04:05.000Z"))
}

// nextCommand is what a person types next.
func nextCommand(v engine.View, remedy string) string {
	switch v.State {
	case api.Stopped:
		return "sourcegraph start " + v.Name
	case api.Failed:
		if remedy != "" {
			return remedy + "; then: sourcegraph start " + v.Name
		}
		return "sourcegraph logs " + v.Name + "; then: sourcegraph start " + v.Name
	case api.Backoff, api.Degraded, api.Starting:
		if remedy != "" {
			return remedy
		}
		return "sourcegraph logs -n 50 " + v.Name
	case api.Unkillable:
		return "sourcegraph status " + v.Name + "; a process that the kernel cannot end waits for a device or a file system"
	}
	return ""
}
