package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// watchEvery is how often --watch looks again.
const watchEvery = time.Second

func statusCommand() *cli.Command {
	return &cli.Command{
		Name: "status", ArgsUsage: "[SERVICE…]", Category: "look",
		Usage:       "whether the product answers, and what each service does",
		Description: "Exit 3 until it is ready; with services named, until they are. With --strict, exit 4 when there are warnings, or limits or isolation are partial.",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "look again every second, until Ctrl-C"}},
		Action: func(c *cli.Context) error {
			client, err := connect(c)
			if err != nil {
				return err
			}
			defer client.Close()
			s, names := screenOf(c), c.Args().Slice()
			if c.Bool("watch") {
				return watch(c.Context, s, client, names)
			}
			st, err := client.Status(c.Context, names)
			if err != nil {
				return err
			}
			if err := s.showStatus(st, names, time.Now()); err != nil {
				return err
			}
			return exitWith(statusCode(st, names, c.Bool("strict")))
		},
	}
}

// statusCode is the exit code of a status.
func statusCode(st api.Status, names []string, strict bool) int {
	right := st.Appliance.Ready
	if len(names) > 0 {
		right = true
		for _, svc := range st.Services {
			right = right && (svc.State == api.Ready || !svc.Wanted && svc.StoppedBy == "")
		}
	}
	switch {
	case !right:
		return exitNotRight
	case strict && (len(st.Appliance.Warnings) > 0 || st.Appliance.Grade.Limits == "soft" || st.Appliance.Grade.Isolation == "partial"):
		return exitWarnings
	}
	return exitOK
}

// watch shows the status again and again. It goes on while a new supervisor takes over.
func watch(ctx context.Context, s *screen, client *api.Client, names []string) error {
	for {
		st, err := client.Status(ctx, names)
		var refused *api.Error
		if ctx.Err() != nil || errors.As(err, &refused) {
			return err
		}
		page := &bytes.Buffer{}
		view := *s
		view.out = page
		if err != nil {
			_, _ = fmt.Fprintln(page, err)
		} else if err := view.showStatus(st, names, time.Now()); err != nil {
			return err
		}
		if isTerminal(s.out) && !s.json {
			s.print("\x1b[H\x1b[2J")
		}
		s.print("%s", page)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(watchEvery):
		}
	}
}

func (s *screen) showStatus(st api.Status, names []string, now time.Time) error {
	if s.json {
		return s.document(st)
	}
	s.print("%s; %s\n", s.paint(bold, headline(st, now)), backupAge(st.Appliance.LastBackup, now))
	if st.Appliance.SetupURL != "" {
		s.print("Make the first administrator at %s\n", st.Appliance.SetupURL)
	}
	for _, warning := range st.Appliance.Warnings {
		s.print("%s %s\n", s.paint(yellow, "warning:"), warning)
	}
	s.showConfigState(st.Appliance.Config)
	rows := [][]cell{heading("SERVICE", "STATE", "SINCE", "MEMORY", "CPU", "RESTARTS", "")}
	for _, svc := range st.Services {
		rows = append(rows, statusRow(svc, now))
	}
	s.print("\n")
	s.table(rows)
	g := st.Appliance.Grade
	if g.Limits != "" {
		s.print("\nHere: %s; %s\n", limitsInWords(g.Limits), isolationInWords(g.Isolation))
	}
	for _, why := range g.Why {
		s.print("  %s\n", why)
	}
	return nil
}

// showConfigState says when what is on disk is not what runs.
func (s *screen) showConfigState(c api.Config) {
	switch c.State {
	case api.ConfigInvalid:
		s.print("%s the configuration on disk is invalid, the old one goes on:\n  %s\n", s.paint(red, "!"), strings.ReplaceAll(c.Fault, "\n", "\n  "))
	case api.ConfigChanged:
		s.print("%s configuration changed, not applied:%s; apply it with: sourcegraph config apply\n", s.paint(yellow, "!"), wouldDo(c))
		if c.Fault != "" {
			s.print("  %s\n", c.Fault)
		}
	}
}

func wouldDo(c api.Config) string {
	var parts []string
	for _, p := range []struct {
		verb  string
		names []string
	}{{"restart", c.Restart}, {"start", c.Start}, {"stop", c.Stop}, {"change", c.Setting}} {
		if len(p.names) > 0 {
			parts = append(parts, p.verb+" "+strings.Join(p.names, ", "))
		}
	}
	return " would " + strings.Join(parts, "; ")
}

// headline says whether the product answers.
func headline(st api.Status, now time.Time) string {
	a := st.Appliance
	if a.Release == "none" {
		return fmt.Sprintf("The site's own services, without a release: %s, running for %s", howMany(st), age(now.Sub(a.Since.Time)))
	}
	if a.Ready {
		return fmt.Sprintf("%s answers at %s, running for %s", a.Release, a.Address, age(now.Sub(a.Since.Time)))
	}
	return fmt.Sprintf("%s does not answer yet at %s: %s", a.Release, a.Address, howMany(st))
}

// howMany counts what should be ready: what the plan wants, an operator's stop or not.
func howMany(st api.Status) string {
	wanted, ready := 0, 0
	for _, svc := range st.Services {
		if svc.Wanted || svc.StoppedBy != "" {
			wanted++
			if svc.State == api.Ready {
				ready++
			}
		}
	}
	return fmt.Sprintf("%d of %d services are ready", ready, wanted)
}

func backupAge(last *api.Time, now time.Time) string {
	if last == nil || last.IsZero() {
		return "no backup yet"
	}
	return "last backup " + age(now.Sub(last.Time)) + " ago"
}

func statusRow(svc api.Service, now time.Time) []cell {
	row := []cell{{instance(svc), ""}, {string(svc.State), stateColour(svc.State)}, {"", ""}, {"", ""}, {"", ""}, {"", ""}, {note(svc), ""}}
	if !svc.Since.IsZero() {
		row[2].text = age(now.Sub(svc.Since.Time))
	}
	if svc.PID > 0 {
		row[3].text, row[4].text = memory(svc), fmt.Sprintf("%.1fs", svc.CPUSeconds)
	}
	if svc.Restarts > 0 {
		row[5] = cell{fmt.Sprint(svc.Restarts), yellow}
	}
	return row
}

func memory(svc api.Service) string {
	if svc.Budget.MemoryMaxBytes > 0 {
		return size(svc.MemoryBytes) + " / " + size(svc.Budget.MemoryMaxBytes)
	}
	return size(svc.MemoryBytes)
}

// elsewhere says where what the site runs itself is; an object storage of the cloud has no address of its own.
func elsewhere(svc api.Service) string {
	servers := slices.Compact(slices.Sorted(maps.Values(svc.Addresses)))
	return strings.TrimSuffix("elsewhere, at "+strings.Join(servers, ", "), ", at ")
}

// note is why a service is in its state.
func note(svc api.Service) string {
	var parts []string
	if len(svc.WaitingFor) > 0 {
		parts = append(parts, "waits for "+strings.Join(svc.WaitingFor, ", "))
	}
	if svc.Reason != "" && len(svc.WaitingFor) == 0 {
		parts = append(parts, svc.Reason)
	}
	if svc.Kind == "external" && len(parts) == 0 { // a reason names the server by itself
		parts = append(parts, elsewhere(svc))
	}
	switch {
	case svc.StoppedBy != "" && svc.State == api.Stopped:
		parts = append(parts, "stopped by "+svc.StoppedBy)
	case !svc.Wanted && svc.State == api.Stopped && svc.Reason == "":
		parts = append(parts, "disabled")
	}
	return strings.Join(parts, "; ")
}
