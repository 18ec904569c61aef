package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster"
)

func configCommand() *cli.Command {
	release := &cli.StringFlag{Name: "release", Usage: "directory or version to check against; none for the site's own services only", EnvVars: []string{"APPLIANCE_RELEASE"}}
	return &cli.Command{
		Name: "config", HideHelpCommand: true, Category: "without an appliance",
		Usage: "the site's configuration",
		Subcommands: []*cli.Command{{
			Name: "check", Usage: "find every fault of the files, with line and column; works with nothing running", Flags: []cli.Flag{release},
			Action: checkConfig,
		}, {
			Name: "show", Usage: "what they come to, secrets by reference",
			Flags:  []cli.Flag{release, &cli.BoolFlag{Name: "running", Usage: "of the appliance that answers, instead of the files"}},
			Action: showConfig,
		}},
	}
}

// loadDry reads the configuration as `run` would, and writes nothing.
func loadDry(c *cli.Context) (*roster.Roster, error) {
	if c.NArg() > 0 {
		return nil, usage("config takes no argument, and was given %q; another file is checked with --config", c.Args().First())
	}
	p, err := where(saidPlaces(c))
	if err != nil {
		return nil, usage("%v", err)
	}
	o := roster.Options{DataDir: p.Data, RunDir: p.Run, ConfigFile: p.Config, ReleaseDir: c.String("release"), Root: os.Geteuid() == 0, DryRun: true}
	if o.ReleaseDir == "none" {
		o.ReleaseDir, o.ReleaseNone = "", true
	}
	if exe, err := os.Executable(); err == nil {
		o.Executable = exe
	}
	return roster.Load(o)
}

// checked is the document of `config check --json`.
type checked struct {
	Valid    bool     `json:"valid"`
	Services int      `json:"services"`
	Warnings []string `json:"warnings"`
}

func checkConfig(c *cli.Context) error {
	r, err := loadDry(c)
	if err != nil {
		return err
	}
	if _, err := r.Site.Front(":0"); err != nil {
		return err
	}
	s := screenOf(c)
	if s.json {
		if err := s.document(checked{true, len(r.Plan.Instances), append([]string{}, r.Warnings...)}); err != nil {
			return err
		}
	} else {
		s.print("the configuration is valid: %d instances of services\n", len(r.Plan.Instances))
		for _, w := range r.Warnings {
			s.warn("warning: %s", w)
		}
	}
	if c.Bool("strict") && len(r.Warnings) > 0 {
		return exitWith(exitWarnings)
	}
	return nil
}

func showConfig(c *cli.Context) error {
	conf, err := configOf(c)
	if err != nil {
		return err
	}
	s := screenOf(c)
	if s.json {
		return s.document(conf)
	}
	text, err := yaml.Marshal(forPeople(reflect.ValueOf(conf)))
	if err != nil {
		return fmt.Errorf("show the configuration: %w", err)
	}
	s.print("%s", text)
	return nil
}

func configOf(c *cli.Context) (any, error) {
	if !c.Bool("running") {
		r, err := loadDry(c)
		if err != nil {
			return nil, err
		}
		return r.Config(), nil
	}
	client, err := connect(c)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	body, err := client.Config(c.Context)
	if err != nil {
		return nil, err
	}
	var conf running
	if err := json.Unmarshal(body, &conf); err != nil {
		return nil, fmt.Errorf("read the running configuration: %w", err)
	}
	return conf, nil
}

// running is what an appliance says of its configuration.
type running struct {
	Site roster.Site   `json:"site"`
	Plan services.Plan `json:"plan"`
}
