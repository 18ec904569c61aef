package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func execCommand() *cli.Command {
	return &cli.Command{
		Name: "exec", ArgsUsage: "SERVICE -- COMMAND…", Category: "inside",
		Usage:       "run a command in a service's environment, as its user and within its limits",
		Description: "It ends with the service. Secrets of the service are in its environment: the call is recorded with who made it.",
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			if len(args) < 2 {
				return usage("exec needs a SERVICE and, behind \"--\", a COMMAND")
			}
			client, err := connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			spec, err := client.ExecSpec(c.Context, args[0])
			if err != nil {
				return err
			}
			if len(spec.Cgroups) == 0 {
				screenOf(c).warn("%s has no limits of its own at the moment", args[0])
			}
			return enter(spec, args[1:])
		},
	}
}

// enter becomes a command inside a service.
func enter(spec api.ExecSpec, argv []string) error {
	env := withTerminal(spec.Env)
	program, err := lookIn(argv[0], value(env, "PATH"), spec.Dir)
	if err != nil {
		return err
	}
	return replaceBy(spec, program, argv, env)
}

// withTerminal adds what a program on this terminal needs to know of it.
func withTerminal(env []string) []string {
	out := append([]string{}, env...)
	for _, name := range []string{"TERM", "COLORTERM"} {
		if v := os.Getenv(name); v != "" && value(env, name) == "" {
			out = append(out, name+"="+v)
		}
	}
	return out
}

// value of a variable, or nothing.
func value(env []string, name string) string {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// lookIn finds a program along a service's PATH; a path with a slash is taken from the service's directory.
func lookIn(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		return name, nil
	}
	for _, d := range filepath.SplitList(path) {
		if found, err := exec.LookPath(filepath.Join(d, name)); err == nil {
			return found, nil
		}
	}
	return "", &api.Error{Code: exitUsage, Message: fmt.Sprintf("there is no program %q in the service's PATH (%s)", name, path), Remedy: "name it with its whole path"}
}
