package main

import (
	"context"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func reloadCommand() *cli.Command {
	return &cli.Command{
		Name: "reload", Category: "change",
		Usage:       "read the configuration again, and apply what changed",
		Description: "An invalid configuration is refused whole, and the old one goes on; try it before with: sourcegraph config check",
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("reload takes no argument, and was given %q", c.Args().First())
			}
			return reload(c)
		},
	}
}

func reload(c *cli.Context) error {
	client, err := connect(c)
	if err != nil {
		return err
	}
	defer client.Close()
	s := screenOf(c)
	var change api.Change
	_, err = s.during(c.Context, client, "reloading", nil, func(ctx context.Context) (op api.Operation, err error) {
		change, err = client.Reload(ctx)
		return op, err
	})
	if err != nil {
		return err
	}
	if err := s.showChange(change, ""); err != nil {
		return err
	}
	if c.Bool("strict") && len(change.Warnings) > 0 {
		return exitWith(exitWarnings)
	}
	return nil
}

// showChange names what a reload did, or would do: then each line begins with that.
func (s *screen) showChange(change api.Change, would string) error {
	if s.json {
		return s.document(change)
	}
	changed := false
	for _, part := range []struct {
		what  string
		names []string
	}{{"changed", change.Settings}, {"stopped", change.Stopped}, {"restarted", change.Restarted}, {"started", change.Started}} {
		if len(part.names) > 0 {
			s.print("%s%s: %s\n", would, part.what, strings.Join(part.names, ", "))
			changed = true
		}
	}
	if !changed {
		s.print("nothing %schanged\n", would)
	}
	for _, w := range change.Warnings {
		s.warn("warning: %s", w)
	}
	return nil
}
