package main

import (
	"context"
	"errors"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// askWait is how long a command waits for an appliance that it can do without.
const askWait = 2 * time.Second

func versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Category: "without an appliance",
		Usage: "the version of this program, and of the appliance that answers",
		Action: func(c *cli.Context) error {
			s := screenOf(c)
			v := versions{Version: version}
			if client, err := connect(c); err == nil {
				defer client.Close()
				ctx, cancel := context.WithTimeout(c.Context, askWait)
				defer cancel()
				st, err := client.Status(ctx, nil)
				var none *api.NoAppliance
				if err != nil && !errors.As(err, &none) {
					s.warn("the appliance: %v", err)
				}
				v.Appliance, v.Release = st.Appliance.Version, st.Appliance.Release
			}
			if s.json {
				return s.document(v)
			}
			s.print("sourcegraph %s\n", v.Version)
			if v.Appliance != "" {
				s.print("running: %s, release %s\n", v.Appliance, v.Release)
			}
			return nil
		},
	}
}

// versions is the document of `version --json`; the running ones are empty when no appliance answers.
type versions struct {
	Version   string `json:"version"`
	Appliance string `json:"running"`
	Release   string `json:"release"`
}
