package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor"
	"github.com/sourcegraph/appliance/supervisor/roster"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
	"github.com/sourcegraph/appliance/supervisor/stage0"
)

// The stop budgets of process-model section 8: Docker gives 10 s.
const (
	stopTimeout      = 180 * time.Second
	stopTimeoutImage = 9 * time.Second
)

// maxSocketPath is the longest path of a unix socket. Source: unix(7), sun_path is 108 bytes with its NUL.
const maxSocketPath = 107

func runCommand() *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "become the appliance in the foreground: process 1 of a container, systemd's main process, or at a terminal",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "release", Usage: "directory or version to run; none for the site's own services only", EnvVars: []string{"APPLIANCE_RELEASE"}},
			&cli.StringSliceFlag{Name: "override", Usage: "SERVICE=PROGRAM: your own build in place of one program of the release, for this run; taken anew at restart and reload", EnvVars: []string{"APPLIANCE_OVERRIDE"}},
			&cli.StringFlag{Name: "listen", Usage: "host:port of the front door, several with commas (from url, else 127.0.0.1:7080; in the image :7080)", EnvVars: []string{"APPLIANCE_LISTEN"}},
			&cli.StringFlag{Name: "tls-cert", Usage: "certificate chain, PEM", EnvVars: []string{"APPLIANCE_TLS_CERT"}},
			&cli.StringFlag{Name: "tls-key", Usage: "its key, PEM", EnvVars: []string{"APPLIANCE_TLS_KEY"}},
			&cli.BoolFlag{Name: "log-stdout", Usage: "show the services' log lines, too (on in the image and under systemd)", EnvVars: []string{"APPLIANCE_LOG_STDOUT"}},
			&cli.DurationFlag{Name: "stop-timeout", Usage: "for the whole ordered stop (180s; in the image 9s)", EnvVars: []string{"APPLIANCE_STOP_TIMEOUT"}},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usage("run takes no argument, and was given %q", c.Args().First())
			}
			o, err := runOptions(c)
			if err != nil {
				return err
			}
			return exitWith(become(o))
		},
	}
}

// runOptions are what the flags say, all faults of them at once.
func runOptions(c *cli.Context) (supervisor.Options, error) {
	p, err := where(saidPlaces(c))
	if err != nil {
		return supervisor.Options{}, usage("%v", err)
	}
	image := os.Getenv(imageMark) != ""
	o := supervisor.Options{
		Roster:  roster.Options{DataDir: p.Data, RunDir: p.Run, ConfigFile: p.Config, ReleaseDir: c.String("release"), Root: os.Geteuid() == 0},
		Flags:   supervisor.Flags{Listen: splitList(c.String("listen"))},
		LogJSON: c.Bool("json"), StopTimeout: c.Duration("stop-timeout"),
	}
	if o.Roster.ReleaseDir == "none" {
		o.Roster.ReleaseDir, o.Roster.ReleaseNone = "", true
	}
	if st, err := os.Stat(o.Roster.ReleaseDir); err == nil && st.IsDir() { // else it is a version
		if o.Roster.ReleaseDir, err = filepath.Abs(o.Roster.ReleaseDir); err != nil {
			return supervisor.Options{}, usage("--release %s: %v", c.String("release"), err)
		}
	}
	if o.Roster.Overrides, err = overrides(c.StringSlice("override")); err != nil {
		return supervisor.Options{}, err
	}
	if exe, err := os.Executable(); err == nil {
		o.Roster.Executable = exe
	}
	for name, to := range map[string]*string{"tls-cert": &o.Flags.TLSCert, "tls-key": &o.Flags.TLSKey} {
		if file := c.String(name); file != "" {
			if *to, err = filepath.Abs(file); err != nil { // the supervisor may be started again from another directory
				return supervisor.Options{}, usage("--%s %s: %v", name, file, err)
			}
		}
	}
	o.Image = image
	if image {
		o.DefaultListen = ":7080"
	}
	if on := c.Bool("log-stdout"); c.IsSet("log-stdout") || image || os.Getenv("INVOCATION_ID") != "" {
		on = on || !c.IsSet("log-stdout")
		o.Flags.LogStdout = &on
	}
	if o.StopTimeout == 0 {
		o.StopTimeout = roster.StopTimeout(p.Config)
	}
	if o.StopTimeout == 0 {
		o.StopTimeout = stopTimeout
		if image {
			o.StopTimeout = stopTimeoutImage
		}
	}
	return o, checkRun(o)
}

// overrides reads SERVICE=PROGRAM; a service that is said twice is a mistake.
func overrides(all []string) (map[string]string, error) {
	out := map[string]string{}
	for _, one := range all {
		service, path, err := roster.ParseOverride(one)
		if err != nil {
			return nil, usage("--override: %v", err)
		}
		if out[service] != "" {
			return nil, usage("--override: %s is given twice, %s and %s", service, out[service], path)
		}
		out[service] = path
	}
	return out, nil
}

// splitList reads a list with commas; nothing is an empty list.
func splitList(text string) (out []keys.Listener) {
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one != "" {
			out = append(out, keys.Listener(one))
		}
	}
	return out
}

func checkRun(o supervisor.Options) error {
	for _, listen := range o.Flags.Listen {
		if _, _, _, err := listen.Split(); err != nil {
			return usage("--listen: %v", err)
		}
	}
	if (o.Flags.TLSCert == "") != (o.Flags.TLSKey == "") {
		return usage("--tls-cert and --tls-key belong together, and only one is given")
	}
	if o.StopTimeout < time.Second {
		return usage("--stop-timeout %s is shorter than 1s", o.StopTimeout)
	}
	if socket := filepath.Join(o.Roster.RunDir, "admin.sock"); len(socket) > maxSocketPath {
		return usage("the admin socket %s has a path of %d bytes, and a unix socket takes at most %d; choose a shorter --run-dir", socket, len(socket), maxSocketPath)
	}
	return nil
}

// become turns this process into stage 0.
func become(o supervisor.Options) int {
	if err := os.MkdirAll(o.Roster.RunDir, 0o755); err != nil {
		fmt.Fprintf(os.Stderr, "sourcegraph: make the run directory: %v\n  choose another one with --run-dir\n", err)
		return exitUsage
	}
	argument, err := json.Marshal(o)
	if err != nil {
		fmt.Fprintf(os.Stderr, "sourcegraph: %v\n", err)
		return exitInternal
	}
	return stage0.Run(stage0.Config{
		Argv: []string{"supervise", string(argument)}, DataDir: o.Roster.DataDir, RunDir: o.Roster.RunDir, StopTimeout: o.StopTimeout, Log: os.Stderr,
	})
}
