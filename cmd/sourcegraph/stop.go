package main

import (
	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func stopCommand() *cli.Command {
	return &cli.Command{
		Name: "stop", ArgsUsage: "[SERVICE…]", Category: "change",
		Usage:       "stop services, first what needs them; without a name all, and the supervisor stays",
		Description: "What needs a stopped service returns with it. Exit 3 when something had to be killed. The whole appliance ends with: sourcegraph shutdown",
		Flags:       []cli.Flag{dryRunFlag()},
		Action: func(c *cli.Context) error {
			v := verb{past: "stopped", doing: "stopping", affects: withDependents, do: (*api.Client).Stop, downtime: true}
			return v.run(c, c.Args().Slice())
		},
	}
}
