package main

import (
	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func startCommand() *cli.Command {
	return &cli.Command{
		Name: "start", ArgsUsage: "SERVICE…", Category: "change",
		Usage: "start services and what they need, and wait until they are ready",
		Flags: []cli.Flag{dryRunFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usage("start needs a SERVICE; the appliance itself starts with: sourcegraph run")
			}
			v := verb{past: "started", doing: "starting", affects: idle, do: (*api.Client).Start}
			return v.run(c, c.Args().Slice())
		},
	}
}

// idle is what a start would have to start.
func idle(st api.Status, names []string) (out []string) {
	for _, name := range withNeeds(st, names) {
		if find(st, name).State != api.Ready {
			out = append(out, name)
		}
	}
	return out
}
