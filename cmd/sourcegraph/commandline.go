package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
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
type usageError struct{ text, hint string }

func (e usageError) Error() string { return e.text }

// Hint names what was probably meant, or where it is explained.
func (e usageError) Hint() string { return e.hint }

func usage(format string, args ...any) error { return usageError{text: fmt.Sprintf(format, args...)} }

// commonFlags stand anywhere on the line until "--".
func commonFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "data", Usage: "the only directory to keep", EnvVars: []string{"APPLIANCE_DATA"}},
		&cli.StringFlag{Name: "run-dir", Usage: "admin socket and run records", EnvVars: []string{"APPLIANCE_RUN_DIR"}},
		&cli.StringFlag{Name: "config", Usage: "the site's one file", EnvVars: []string{"APPLIANCE_CONFIG"}},
		&cli.BoolFlag{Name: "json", Usage: "one JSON document on stdout (logs, events: one a line)", EnvVars: []string{"APPLIANCE_JSON"}},
		&cli.BoolFlag{Name: "no-color", Usage: "no colour, on a terminal either; so does NO_COLOR", EnvVars: []string{"APPLIANCE_NO_COLOR"}},
		&cli.BoolFlag{Name: "strict", Usage: "warnings count (exit 4)", EnvVars: []string{"APPLIANCE_STRICT"}},
	}
}

func saidPlaces(c *cli.Context) places {
	return places{Data: c.String("data"), Run: c.String("run-dir"), Config: c.String("config")}
}

// commands is every verb, in the order in which help shows them.
func commands() []*cli.Command {
	return []*cli.Command{
		runCommand(),
		statusCommand(), waitCommand(), whyCommand(), topCommand(), logsCommand(), eventsCommand(),
		startCommand(), stopCommand(), restartCommand(), reloadCommand(), shutdownCommand(),
		execCommand(), psqlCommand(), adminCommand(), siteConfigCommand(),
		servicesCommand(), configCommand(), versionCommand(), completionCommand(),
	}
}

func newApp(out, progress io.Writer) *cli.App {
	verbs := commands()
	ownFaults(verbs)
	return &cli.App{
		Name: "sourcegraph", Usage: "a whole code search on one machine, supervised", Version: version, HideVersion: true,
		Description: "A SERVICE is a name for all its instances (gitserver) or one (gitserver/1). Flags may stand anywhere on the line until \"--\".\n" +
			"Exit codes: 0 success, 1 internal error, 2 wrong usage or configuration, 3 not as it should be, 4 warnings with --strict,\n" +
			"5 inconclusive, 6 refused, 7 no appliance answers.",
		Flags: commonFlags(), Commands: verbs, Writer: out, ErrWriter: progress, HideHelpCommand: true,
		ExitErrHandler: func(*cli.Context, error) {}, OnUsageError: valueFault,
	}
}

// ownFaults has every command report a value that does not fit as what it is, without its whole help.
func ownFaults(list []*cli.Command) {
	for _, c := range list {
		c.OnUsageError = valueFault
		ownFaults(c.Subcommands)
	}
}

func valueFault(_ *cli.Context, err error, _ bool) error { return usage("%v", err) }

func commandLine(args []string) int {
	return runLine(args, os.Stdout, os.Stderr)
}

// runLine runs one command line: results go to out, all else to progress.
func runLine(args []string, out, progress io.Writer) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	if len(args) > 1 && args[1] == completeWord {
		return complete(ctx, args[2:], out)
	}
	app := newApp(out, progress)
	ordered, err := arrange(app, args)
	asJSON := err == nil && wantsJSON(ordered)
	if err == nil {
		err = app.RunContext(ctx, ordered)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return exitInterrupted
	}
	return exitCode(err, asJSON, out, progress)
}

// exitInterrupted is what a shell expects of a program that Ctrl-C ended.
const exitInterrupted = 130

// wantsJSON says whether a fault has to be a document, too: the flag, else its variable.
func wantsJSON(args []string) bool {
	for _, a := range args {
		switch a {
		case "--json", "--json=true":
			return true
		case "--json=false", "--":
			return false
		}
	}
	on, err := strconv.ParseBool(os.Getenv("APPLIANCE_JSON"))
	return on && err == nil
}

// exitCode prints an error, with its remedy on a line of its own, and gives the code that fits. In JSON the same is the one document on stdout.
func exitCode(err error, asJSON bool, out, progress io.Writer) int {
	var end ended
	if err == nil {
		return exitOK
	}
	if errors.As(err, &end) {
		return end.code
	}
	e := *api.AsError(err)
	var u usageError
	if errors.As(err, &u) {
		e.Code = exitUsage
	}
	if asJSON {
		_ = json.NewEncoder(out).Encode(e) // of plain strings; a closed stdout is no news to its owner
	}
	_, _ = fmt.Fprintf(progress, "sourcegraph: %s\n", e.Message)
	if e.Remedy != "" {
		_, _ = fmt.Fprintf(progress, "  %s\n", e.Remedy)
	}
	return e.Code
}
