package main

import (
	"sort"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/logs"
)

func whyCommand() *cli.Command {
	return &cli.Command{
		Name: "why", ArgsUsage: "SERVICE", Category: "look",
		Usage: "why a service is in its state: causes, newest first, with evidence and what to type next",
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usage("why needs exactly one SERVICE; see: sourcegraph status")
			}
			client, err := connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			chain, err := client.Why(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			s := screenOf(c)
			if s.json {
				return s.document(chain)
			}
			s.showChain(chain, time.Now())
			return nil
		},
	}
}

func (s *screen) showChain(chain []api.Link, now time.Time) {
	for _, l := range chain {
		lead := ""
		if l.CauseOf != "" {
			lead = "because "
		}
		since := ""
		if !l.At.IsZero() {
			since = s.paint(grey, " (for "+age(now.Sub(l.At.Time))+")")
		}
		s.print("%s%s%s\n", lead, s.paint(stateColour(l.State), logs.Escape(l.Message)), since)
		keys := make([]string, 0, len(l.Evidence))
		for k := range l.Evidence {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			s.print("  %s: %s\n", strings.ReplaceAll(k, "_", " "), logs.Escape(l.Evidence[k]))
		}
		if len(l.LastLog) > 0 {
			s.print("  its last lines:\n")
		}
		for _, line := range l.LastLog {
			s.print("    %s\n", s.paint(grey, logs.Escape(line)))
		}
		if l.Next != "" {
			s.print("  next: %s\n", s.paint(bold, l.Next))
		}
	}
}
