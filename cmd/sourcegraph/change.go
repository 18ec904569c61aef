package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// verb is a command that changes services.
type verb struct {
	past     string // started
	doing    string // starting
	affects  func(st api.Status, names []string) []string
	do       func(*api.Client, context.Context, []string) (api.Operation, error)
	downtime bool // what it affects is down meanwhile
}

func dryRunFlag() cli.Flag {
	return &cli.BoolFlag{Name: "dry-run", Usage: "only say what it would affect"}
}

// run carries the verb out, or says what it would affect.
func (v verb) run(c *cli.Context, names []string) error {
	client, err := connect(c)
	if err != nil {
		return err
	}
	defer client.Close()
	s := screenOf(c)
	if _, err := client.Status(c.Context, names); err != nil { // names the service that there is not, before anything is done
		return err
	}
	st, err := client.Status(c.Context, nil)
	if err != nil {
		return err
	}
	affected := v.affects(st, names)
	if c.Bool("dry-run") {
		return s.plan(v, st, affected)
	}
	s.announce(v, affected, names)
	op, err := s.during(c.Context, client, v.doing, affected, func(ctx context.Context) (api.Operation, error) { return v.do(client, ctx, names) })
	if err != nil {
		return err
	}
	return s.result(v, op)
}

// announce names what is interrupted beside what was asked for.
func (s *screen) announce(v verb, affected, names []string) {
	if !v.downtime || s.json || len(names) == 0 {
		return
	}
	var also []string
	for _, a := range affected {
		if !slices.ContainsFunc(names, func(n string) bool { return n == a || strings.HasPrefix(a, n+"/") }) {
			also = append(also, a)
		}
	}
	if len(also) > 0 {
		s.warn("%s also what needs it: %s", v.doing, strings.Join(also, ", "))
	}
}

func (s *screen) plan(v verb, st api.Status, affected []string) error {
	if s.json {
		return s.document(struct {
			DryRun   bool     `json:"dry_run"`
			Affected []string `json:"affected"`
		}{true, append([]string{}, affected...)})
	}
	if len(affected) == 0 {
		s.print("nothing to do\n")
	}
	for _, name := range affected {
		svc := find(st, name)
		s.print("would be %s: %s (%s)", v.past, name, svc.State)
		if v.downtime && svc.Loss != "" && svc.State == api.Ready {
			s.print("; while it is down, %s", svc.Loss)
		}
		s.print("\n")
	}
	return nil
}

// during shows how far an operation is while it runs.
func (s *screen) during(ctx context.Context, client *api.Client, doing string, affected []string, do func(context.Context) (api.Operation, error)) (api.Operation, error) {
	watching, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.follow(watching, client, doing, affected)
	}()
	op, err := do(ctx)
	stop()
	<-ended
	s.hush()
	return op, err
}

func (s *screen) follow(ctx context.Context, client *api.Client, doing string, affected []string) {
	if !s.live {
		return
	}
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pollEvery):
		}
		if st, err := client.Status(ctx, nil); err == nil {
			s.say(fmt.Sprintf("%s, %s: %s", doing, age(time.Since(began)), unsettled(st, affected)))
		}
	}
}

// unsettled is what is on its way, and what it waits for.
func unsettled(st api.Status, affected []string) string {
	var out []string
	for _, name := range affected {
		svc := find(st, name)
		switch svc.State {
		case api.Ready, api.Stopped, "":
			continue
		}
		text := name + " " + string(svc.State)
		if len(svc.WaitingFor) > 0 {
			text += " for " + strings.Join(svc.WaitingFor, ", ")
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func (s *screen) result(v verb, op api.Operation) error {
	if s.json {
		if err := s.document(op); err != nil {
			return err
		}
	} else {
		var good []string
		for _, name := range op.Affected {
			if !slices.Contains(op.NotReady, name) {
				good = append(good, name)
			}
		}
		if len(good) > 0 {
			s.print("%s: %s\n", v.past, strings.Join(good, ", "))
		}
		for _, m := range op.Messages {
			s.warn("%s", m)
		}
		for _, name := range op.NotReady {
			s.warn("  see: sourcegraph why %s", name)
		}
	}
	if len(op.Killed)+len(op.NotReady) > 0 {
		return exitWith(exitNotRight)
	}
	return nil
}

func find(st api.Status, name string) api.Service {
	for _, svc := range st.Services {
		if instance(svc) == name {
			return svc
		}
	}
	return api.Service{}
}

// chosen is the instances that names mean; none means all.
func chosen(st api.Status, names []string) (out []string) {
	for _, svc := range st.Services {
		numbered := fmt.Sprintf("%s/%d", svc.Name, svc.Instance)
		if len(names) == 0 || slices.Contains(names, svc.Name) || slices.Contains(names, numbered) {
			out = append(out, instance(svc))
		}
	}
	return out
}

// withNeeds is the instances after all that they need.
func withNeeds(st api.Status, names []string) []string {
	return closure(chosen(st, names), func(name string) []string { return find(st, name).Needs })
}

// withDependents is the instances after all that needs them.
func withDependents(st api.Status, names []string) []string {
	return closure(chosen(st, names), func(name string) (out []string) {
		for _, svc := range st.Services {
			if slices.Contains(svc.Needs, name) {
				out = append(out, instance(svc))
			}
		}
		return out
	})
}

func closure(names []string, next func(string) []string) (out []string) {
	seen := map[string]bool{}
	var walk func(string)
	walk = func(name string) {
		if seen[name] {
			return
		}
		seen[name] = true
		for _, n := range next(name) {
			walk(n)
		}
		out = append(out, name)
	}
	for _, name := range names {
		walk(name)
	}
	return out
}
