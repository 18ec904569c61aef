package main

import (
	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/services"
)

// ownMetrics is where the appliance's metrics would be, for a scrape configuration made from definitions alone: the example of metrics.listen.
const ownMetrics = "127.0.0.1:9464"

func scrapeConfigCommand(version cli.Flag) *cli.Command {
	release := &cli.StringFlag{Name: "release", Usage: "the release in `DIR`, or an installed version; else the one that run would take"}
	return &cli.Command{
		Name: "scrape-config", Usage: "scrape_configs of all that runs here, for a Prometheus of your own on this machine",
		Flags: []cli.Flag{release, version}, Action: scrapeConfig,
	}
}

// scrapeConfig prints the addresses that are in force here, or with --release-version those of the definitions.
func scrapeConfig(c *cli.Context) error {
	list, err := scrapes(c)
	if err != nil {
		return err
	}
	s := screenOf(c)
	if s.json {
		return s.document(list)
	}
	s.print("%s", services.ScrapeConfig(list))
	return nil
}

func scrapes(c *cli.Context) ([]services.Scrape, error) {
	if c.String("release-version") != "" {
		defs, err := definitions(c)
		return services.ScrapesOf(defs, ownMetrics), err
	}
	r, err := loadDry(c)
	if err != nil {
		return nil, err
	}
	if r.Metrics == "" {
		s := screenOf(c)
		s.warn("the appliance's own metrics are not in it; set metrics.listen, such as %s", ownMetrics)
	}
	return r.Scrapes(), nil
}

func alertRules(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("services alert-rules takes no argument, and was given %q", c.Args().First())
	}
	s := screenOf(c)
	if s.json {
		return s.document(services.Alerts())
	}
	s.print("%s", services.AlertRules())
	return nil
}
