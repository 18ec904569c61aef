package main

import (
	"context"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/logs"
)

func eventsCommand() *cli.Command {
	return &cli.Command{
		Name: "events", ArgsUsage: "[SERVICE…]", Category: "look",
		Usage: "what happened and why: transitions with their causes, and operators' commands",
		Flags: spanFlags(),
		Action: func(c *cli.Context) (err error) {
			q := api.EventQuery{Services: c.Args().Slice(), Follow: c.Bool("follow")}
			if q.Limit, q.Since, err = spanFrom(c, time.Now()); err != nil {
				return err
			}
			client, err := connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			return followEvents(c.Context, client, q, screenOf(c).event)
		},
	}
}

// followEvents reads the history. A follower that loses its supervisor asks the next one from the last event on.
func followEvents(ctx context.Context, client *api.Client, q api.EventQuery, show func(api.Event) error) error {
	var last api.Event
	shown := map[uint64]bool{} // of the last moment
	return resume(ctx, q.Follow, func(again bool) (bool, error) {
		if again && !last.At.IsZero() {
			q.Since, q.Limit = last.At.Time, 0
		}
		any := false
		for e, err := range client.Events(ctx, q) {
			if err != nil {
				return any, err
			}
			any = true
			if again && shown[e.Seq] && e.At.Equal(last.At.Time) {
				continue
			}
			if !e.At.Equal(last.At.Time) {
				clear(shown)
			}
			last, shown[e.Seq] = e, true
			if err := show(e); err != nil {
				return any, err
			}
		}
		return any, nil
	})
}

func (s *screen) event(e api.Event) error {
	if s.json {
		return s.row(e)
	}
	var parts []string
	switch {
	case e.To != "" && e.From != "":
		parts = append(parts, s.paint(stateColour(e.From), string(e.From))+" → "+s.paint(stateColour(e.To), string(e.To)))
	case e.To != "":
		parts = append(parts, s.paint(stateColour(e.To), string(e.To)))
	default:
		parts = append(parts, e.Kind)
	}
	if e.Message != "" {
		parts = append(parts, logs.Escape(e.Message))
	}
	if e.Cause != "" && !strings.Contains(e.Message, e.Cause) {
		parts = append(parts, "cause "+logs.Escape(e.Cause))
	}
	if e.CausedBy != "" {
		parts = append(parts, "because of "+e.CausedBy)
	}
	if e.Actor != "" {
		parts = append(parts, "by "+logs.Escape(e.Actor))
	}
	name := e.Service
	if name == "" {
		name = "appliance"
	}
	s.print("%s %s %s\n", s.paint(grey, stamp(e.At)), s.paint(nameColour(name), name+" |"), strings.Join(parts, ", "))
	return nil
}
