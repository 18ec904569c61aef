package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// appliance is a fake one behind a real admin socket.
type appliance struct {
	mu     sync.Mutex
	status api.Status
	asked  []string // changing calls
	op     api.Operation
	chain  []api.Link
	events []api.Event
	logs   []api.LogLine
	query  api.LogQuery
	err    error
	env    []string // of frontend; nil: nobody may know it
	dir    string
	end    func()
	shut   func()
}

func (a *appliance) Status(_ context.Context, names []string) (api.Status, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return api.Status{}, a.err
	}
	st := a.status
	if len(names) == 0 {
		return st, nil
	}
	st.Services = nil
	for _, name := range names {
		if len(chosen(a.status, []string{name})) == 0 {
			return st, &api.Error{Code: 2, Message: fmt.Sprintf("there is no service %q", name), Remedy: "use another"}
		}
	}
	for _, svc := range a.status.Services {
		if slices.Contains(chosen(a.status, names), instance(svc)) {
			st.Services = append(st.Services, svc)
		}
	}
	return st, nil
}

func (a *appliance) change(verb string, names []string) (api.Operation, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, fmt.Sprint(verb, names))
	return a.op, a.err
}

func (a *appliance) Start(_ context.Context, _ api.Peer, n []string) (api.Operation, error) {
	return a.change("start", n)
}
func (a *appliance) Stop(_ context.Context, _ api.Peer, n []string) (api.Operation, error) {
	return a.change("stop", n)
}
func (a *appliance) Restart(_ context.Context, _ api.Peer, n []string) (api.Operation, error) {
	return a.change("restart", n)
}
func (a *appliance) Shutdown(context.Context, api.Peer) error {
	_, _ = a.change("shutdown", nil)
	a.shut()
	return nil
}
func (a *appliance) Reload(context.Context, api.Peer) (api.Change, error) {
	_, err := a.change("reload", nil)
	return api.Change{Restarted: []string{"worker"}, Warnings: []string{"a warning"}}, err
}
func (a *appliance) Diff(_ context.Context, file string) (api.Change, error) {
	return api.Change{Restarted: []string{"gitserver/0"}, Settings: []string{"listen"}}, a.err
}
func (a *appliance) Why(_ context.Context, name string) ([]api.Link, error) {
	if _, err := a.Status(context.Background(), []string{name}); err != nil {
		return nil, err
	}
	return a.chain, nil
}
func (a *appliance) Events(_ context.Context, q api.EventQuery) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		for _, e := range a.events {
			if !e.At.Before(q.Since) && !yield(e, nil) {
				return
			}
		}
	}
}

// Logs of a follower end after what there is, as when a supervisor is killed; the second one finds one line more.
func (a *appliance) Logs(_ context.Context, q api.LogQuery) iter.Seq2[api.LogLine, error] {
	a.mu.Lock()
	defer a.mu.Unlock()
	again := !a.query.Since.IsZero() && q.Follow
	a.query = q
	lines := slices.Clone(a.logs)
	return func(yield func(api.LogLine, error) bool) {
		for i, l := range lines {
			if q.Follow && !again && i == len(lines)-1 {
				return
			}
			if !l.At.Before(q.Since) && !yield(l, nil) {
				return
			}
		}
		if again {
			yield(api.LogLine{}, &api.Error{Code: 6, Message: "the test is over"})
		}
	}
}
func (a *appliance) ExecSpec(_ context.Context, who api.Peer, name string) (api.ExecSpec, error) {
	if a.env != nil {
		a.asked = append(a.asked, name+" for "+who.Command)
		return api.ExecSpec{Env: a.env}, nil
	}
	return api.ExecSpec{}, &api.Error{Code: 6, Message: "not here"}
}
func (a *appliance) Config(context.Context) (any, error) {
	return map[string]any{"site": map[string]string{"site_config": "/etc/sourcegraph/site.jsonc"}}, nil
}

// begin starts the fake in a directory of its own.
func (a *appliance) begin(t *testing.T) *appliance {
	t.Helper()
	a.dir = t.TempDir()
	a.answer(t)
	return a
}

func (a *appliance) answer(t *testing.T) {
	t.Helper()
	l, err := api.Listen(filepath.Join(a.dir, "admin.sock"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- api.Serve(ctx, l, a, nil) }()
	a.shut = cancel
	a.end = sync.OnceFunc(func() {
		cancel()
		<-ended
	})
	t.Cleanup(a.end)
}

// said is what a command line was answered.
type said struct {
	code          int
	out, progress string
}

// run runs a command line against the fake.
func (a *appliance) run(args ...string) said {
	return runHere(append([]string{"--run-dir=" + a.dir}, args...)...)
}

func runHere(args ...string) said {
	var out, progress bytes.Buffer
	code := runLine(append([]string{"sourcegraph"}, args...), &out, &progress)
	return said{code, out.String(), progress.String()}
}

func ago(d time.Duration) api.Time { return api.Time{Time: time.Now().Add(-d)} }

// demo is a small product: frontend needs postgres, two gitservers need frontend.
func demo() *appliance {
	svc := func(name string, number, replicas int, state api.State, needs ...string) api.Service {
		return api.Service{
			Name: name, Instance: number, Replicas: replicas, Wanted: true, State: state, Since: ago(3 * time.Minute), PID: 42, Run: 1,
			MemoryBytes: 12 << 20, CPUSeconds: 1.26, Needs: needs, WaitingFor: []string{}, Loss: name + " is missed",
			Budget: api.Budget{MemoryMaxBytes: 1 << 30},
		}
	}
	return &appliance{status: api.Status{
		Schema: 1,
		Appliance: api.Appliance{
			Version: "1.2.3", Release: "demo-1.0.0", Ready: true, Since: ago(2 * time.Hour), Address: "http://127.0.0.1:7080",
			Grade: api.Grade{Limits: "soft", Isolation: "partial", Why: []string{"cgroups are read only"}},
		},
		Services: []api.Service{
			svc("postgres", 0, 1, api.Ready), svc("frontend", 0, 1, api.Ready, "postgres"),
			svc("gitserver", 0, 2, api.Ready, "frontend"), svc("gitserver", 1, 2, api.Ready, "frontend"),
		},
	}}
}
