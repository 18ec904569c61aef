package main

import (
	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func restartCommand() *cli.Command {
	return &cli.Command{
		Name: "restart", ArgsUsage: "SERVICE…", Category: "change",
		Usage: "end and start services, and wait until they are ready; what needs them goes on",
		Flags: []cli.Flag{dryRunFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usage("restart needs a SERVICE; for all of them: sourcegraph stop, then sourcegraph start NAMES")
			}
			v := verb{past: "restarted", doing: "restarting", affects: chosen, do: (*api.Client).Restart, downtime: true}
			return v.run(c, c.Args().Slice())
		},
	}
}
