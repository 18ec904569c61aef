package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"

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
			Name: "show", ArgsUsage: "[SERVICE…]", Usage: "what they come to, in the form of appliance.yaml, secrets by reference",
			Flags:  []cli.Flag{release, &cli.BoolFlag{Name: "running", Usage: "of the appliance that answers, instead of the files"}},
			Action: showConfig,
		}, {
			Name: "explain", ArgsUsage: "KEY", Usage: "one key: what is in force, where it comes from, what it may be, what a change does", Flags: []cli.Flag{release},
			Description: "KEY is a path such as listen, services.gitserver.replicas or frontend.env.SEARCHER_URL.",
			Action:      explainConfig,
		}, {
			Name: "diff", ArgsUsage: "[FILE]", Usage: "what the files on disk, or FILE in place of appliance.yaml, would change of what runs", Action: diffConfig,
		}, {
			Name: "apply", Usage: "apply what is on disk, service by service; the same as reload", Flags: []cli.Flag{dryRunFlag()}, Action: applyConfig,
		}, {
			Name: "rollback", Usage: "put the files back to the last configuration that worked, and apply it", Flags: []cli.Flag{dryRunFlag()}, Action: rollbackConfig,
		}, {
			Name: "schema", Usage: "JSON Schema of appliance.yaml, for editors",
			Action: func(c *cli.Context) error { return screenOf(c).document(roster.Schema()) },
		}},
	}
}

// dryOptions are what `run` would read the configuration with; nothing is written.
func dryOptions(c *cli.Context) (roster.Options, error) {
	p, err := where(saidPlaces(c))
	if err != nil {
		return roster.Options{}, usage("%v", err)
	}
	o := roster.Options{DataDir: p.Data, RunDir: p.Run, ConfigFile: p.Config, ReleaseDir: c.String("release"), Root: os.Geteuid() == 0, Environ: os.Environ(), DryRun: true}
	if o.ReleaseDir == "none" {
		o.ReleaseDir, o.ReleaseNone = "", true
	}
	if exe, err := os.Executable(); err == nil {
		o.Executable = exe
	}
	return o, nil
}

func loadDry(c *cli.Context) (*roster.Roster, error) {
	o, err := dryOptions(c)
	if err != nil {
		return nil, err
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
	if c.NArg() > 0 {
		return usage("config check takes no argument, and was given %q; another file is checked with --config", c.Args().First())
	}
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
	if c.Bool("running") {
		return showRunning(c)
	}
	r, err := loadDry(c)
	if err != nil {
		return err
	}
	s, bare := screenOf(c), r.Bare()
	for _, name := range c.Args().Slice() {
		if _, ok := bare.Services[name]; !ok {
			return usageError{fmt.Sprintf("there is no service %q", name), "see: sourcegraph services list"}
		}
	}
	if s.json {
		conf := r.Config()
		if c.NArg() > 0 {
			conf.Services = slices.DeleteFunc(conf.Services, func(i services.Instance) bool { return !slices.Contains(c.Args().Slice(), i.Service) })
		}
		return s.document(conf)
	}
	text, err := r.YAML(c.Args().Slice()...)
	if err != nil {
		return fmt.Errorf("show the configuration: %w", err)
	}
	s.print("%s", text)
	return nil
}

// running is what an appliance says of its configuration.
type running struct {
	Site roster.Site   `json:"site"`
	Plan services.Plan `json:"plan"`
}

func showRunning(c *cli.Context) error {
	client, err := connect(c)
	if err != nil {
		return err
	}
	defer client.Close()
	body, err := client.Config(c.Context)
	if err != nil {
		return err
	}
	var conf running
	if err := json.Unmarshal(body, &conf); err != nil {
		return fmt.Errorf("read the running configuration: %w", err)
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

func explainConfig(c *cli.Context) error {
	if c.NArg() != 1 {
		return usage("config explain needs exactly one KEY, such as listen or services.gitserver.replicas")
	}
	r, err := loadDry(c)
	if err != nil {
		return err
	}
	e, err := r.Explain(c.Args().First())
	if err != nil {
		return err
	}
	if value := os.Getenv(e.Env); e.Env != "" && value != "" {
		e.Value, e.Origin = value, "environment variable "+e.Env
	}
	s := screenOf(c)
	if s.json {
		return s.document(e)
	}
	for _, line := range [][2]string{{"key", e.Key}, {"value", e.Value}, {"origin", e.Origin}, {"does", e.Doc}, {"may be", e.May}, {"changing", e.Changing}} {
		if line[1] != "" {
			s.print("%s %s\n", s.paint(grey, fmt.Sprintf("%-9s", line[0])), line[1])
		}
	}
	if e.Flag != "" {
		s.print("%s %s and %s win over the file\n", s.paint(grey, fmt.Sprintf("%-9s", "flag")), e.Flag, e.Env)
	}
	return nil
}

func diffConfig(c *cli.Context) error {
	if c.NArg() > 1 {
		return usage("config diff takes one FILE at most, and was given %q", c.Args().Get(1))
	}
	file := c.Args().First()
	if file != "" {
		var err error
		if file, err = filepath.Abs(file); err != nil {
			return usage("%s: %v", c.Args().First(), err)
		}
		if _, err := os.Stat(file); err != nil {
			return usage("config diff: %v", err)
		}
	}
	return showDiff(c, file)
}

func showDiff(c *cli.Context, file string) error {
	client, err := connect(c)
	if err != nil {
		return err
	}
	defer client.Close()
	change, err := client.Diff(c.Context, file)
	if err != nil {
		return err
	}
	return screenOf(c).showChange(change, "would be ")
}

func applyConfig(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("config apply takes no argument, and was given %q; it applies what is on disk", c.Args().First())
	}
	if c.Bool("dry-run") {
		return showDiff(c, "")
	}
	return reload(c)
}

// rollbackConfig restores the files, and applies them when an appliance answers.
func rollbackConfig(c *cli.Context) error {
	if c.NArg() > 0 {
		return usage("config rollback takes no argument, and was given %q", c.Args().First())
	}
	o, err := dryOptions(c)
	if err != nil {
		return err
	}
	to, err := roster.Previous(o)
	if err != nil {
		return err
	}
	s := screenOf(c)
	s.warn("the configuration that was applied at %s by %s", to.At.Format("2006-01-02 15:04:05 MST"), to.Who)
	if c.Bool("dry-run") {
		if s.json {
			return s.document(to)
		}
		for _, name := range sortedKeys(to.Files) {
			s.print("would restore %s\n", name)
		}
		return nil
	}
	if err := to.Restore(o.ConfigFile); err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	defer client.Close()
	if !exists(client.Socket()) {
		s.print("restored; no appliance runs, so it counts from the next start on\n")
		return nil
	}
	return reload(c)
}
