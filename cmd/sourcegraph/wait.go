package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// pollEvery is how often a waiting command looks.
const pollEvery = 200 * time.Millisecond

func waitCommand() *cli.Command {
	return &cli.Command{
		Name: "wait", ArgsUsage: "[SERVICE…]", Category: "look",
		Usage:       "wait until the product, or services, are ready or stopped",
		Description: "It also waits for an appliance that does not answer yet. Exit 3 if it is not true in time, 7 if nothing answered.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "for", Value: "ready", Usage: "ready or stopped"},
			&cli.DurationFlag{Name: "timeout", Value: 5 * time.Minute, Usage: "how long; 0 for ever"},
		},
		Action: func(c *cli.Context) error {
			w := waiting{names: c.Args().Slice(), state: api.State(c.String("for"))}
			if w.state != api.Ready && w.state != api.Stopped {
				return usage("--for %q is neither ready nor stopped", w.state)
			}
			client, err := connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			ctx, cancel := c.Context, context.CancelFunc(func() {})
			if t := c.Duration("timeout"); t > 0 {
				ctx, cancel = context.WithTimeout(ctx, t)
			}
			defer cancel()
			return w.wait(ctx, screenOf(c), client)
		},
	}
}

// waiting is what a `wait` waits for, and what it has seen.
type waiting struct {
	names []string
	state api.State

	answered bool
	last     api.Status
	nobody   error
}

func (w *waiting) wait(ctx context.Context, s *screen, client *api.Client) error {
	defer s.hush()
	for {
		if done, err := w.look(ctx, client); err != nil {
			return err
		} else if done {
			s.hush()
			if s.json {
				return s.document(w.last)
			}
			return nil
		}
		s.say(w.progress())
		select {
		case <-ctx.Done():
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return ctx.Err()
			}
			return w.late()
		case <-time.After(pollEvery):
		}
	}
}

// look says whether what was waited for is true. An error is final.
func (w *waiting) look(ctx context.Context, client *api.Client) (bool, error) {
	st, err := client.Status(ctx, w.names)
	var refused *api.Error
	var none *api.NoAppliance
	switch {
	case err == nil:
		w.answered, w.last = true, st
		return w.holds(st), nil
	case errors.As(err, &refused):
		return false, err
	case errors.As(err, &none):
		if none.ExitCode() != exitNoAppliance {
			return false, err
		}
		w.nobody = err
		return w.answered && w.state == api.Stopped, nil // it was there, and has ended
	}
	return false, nil // a supervisor that is being replaced, or our own deadline
}

func (w *waiting) holds(st api.Status) bool {
	if w.state == api.Ready && len(w.names) == 0 {
		return st.Appliance.Ready
	}
	return !slices.ContainsFunc(st.Services, func(svc api.Service) bool { return svc.State != w.state })
}

func (w *waiting) missing() (out []string) {
	for _, svc := range w.last.Services {
		if svc.State != w.state && (svc.Wanted || w.state == api.Stopped || len(w.names) > 0) {
			out = append(out, fmt.Sprintf("%s (%s)", instance(svc), svc.State))
		}
	}
	return out
}

func (w *waiting) progress() string {
	if !w.answered {
		return "waiting for an appliance that answers"
	}
	return fmt.Sprintf("waiting until %s: %s", w.state, strings.Join(w.missing(), ", "))
}

func (w *waiting) late() error {
	if !w.answered && w.nobody != nil {
		return w.nobody
	}
	if !w.answered {
		return &api.Error{Code: exitNoAppliance, Message: "no appliance answered in time", Remedy: "see: sourcegraph status"}
	}
	return &api.Error{
		Code: exitNotRight, Message: fmt.Sprintf("not %s in time: %s", w.state, strings.Join(w.missing(), ", ")), Remedy: "see: sourcegraph status, and: sourcegraph why SERVICE",
	}
}
