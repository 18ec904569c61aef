package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
)

// ended is an answer whose exit code is the message.
type ended struct{ code int }

func (e ended) Error() string { return fmt.Sprintf("exit status %d", e.code) }

func exitWith(code int) error {
	if code == exitOK {
		return nil
	}
	return ended{code}
}

// usageError is what a person typed wrong.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// commonFlags stand anywhere on the line until "--".
func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "data", Usage: "the only directory to keep", EnvVars: []string{"APPLIANCE_DATA"}},
		&cli.StringFlag{Name: "run-dir", Usage: "admin socket and run records", EnvVars: []string{"APPLIANCE_RUN_DIR"}},
		&cli.StringFlag{Name: "config", Usage: "the site's one file", EnvVars: []string{"APPLIANCE_CONFIG"}},
		&cli.BoolFlag{Name: "json", Usage: "one JSON document on stdout", EnvVars: []string{"APPLIANCE_JSON"}},
		&cli.BoolFlag{Name: "no-color", Usage: "no colour, on a terminal either", EnvVars: []string{"APPLIANCE_NO_COLOR", "NO_COLOR"}},
		&cli.BoolFlag{Name: "strict", Usage: "warnings count (exit 4)", EnvVars: []string{"APPLIANCE_STRICT"}},
	}
}

func saidPlaces(c *cli.Context) places {
	return places{Data: c.String("data"), Run: c.String("run-dir"), Config: c.String("config")}
}

func newApp() *cli.App {
	return &cli.App{
		Name: "sourcegraph", Usage: "a whole code search on one machine, supervised", Version: version, HideVersion: true,
		Flags:          commonFlags(),
		Commands:       []*cli.Command{runCommand()},
		ExitErrHandler: func(*cli.Context, error) {},
	}
}

func commandLine(args []string) int {
	return exitCode(newApp().Run(args))
}

// exitCode prints an error, with its remedy on a line of its own, and gives the code that fits.
func exitCode(err error) int {
	var end ended
	if err == nil {
		return exitOK
	}
	if errors.As(err, &end) {
		return end.code
	}
	fmt.Fprintf(os.Stderr, "sourcegraph: %v\n", err)
	var hint interface{ Hint() string }
	if errors.As(err, &hint) && hint.Hint() != "" {
		fmt.Fprintf(os.Stderr, "  %s\n", hint.Hint())
	}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	var u usageError
	if errors.As(err, &u) {
		return exitUsage
	}
	return exitInternal
}
