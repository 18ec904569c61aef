package api

import (
	"context"
	"iter"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// fake is a Backend whose answers a test sets.
type fake struct {
	mu       sync.Mutex
	calls    []string
	peers    []Peer
	err      error
	waits    chan struct{} // operations end when it closes or their caller goes; nil: at once
	began    chan struct{}
	gone     chan error // what ended an operation's waiting
	down     chan struct{}
	events   []Event
	logs     []LogLine
	endless  bool  // events come for ever
	breaks   error // after the last event
	logQuery LogQuery
}

func (f *fake) note(call string, who Peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.peers = append(f.calls, call), append(f.peers, who)
}

func (f *fake) noted() ([]string, []Peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls, f.peers
}

func (f *fake) operate(ctx context.Context, call string, who Peer, services []string) (Operation, error) {
	f.note(call, who)
	if f.waits != nil {
		close(f.began)
		select {
		case <-f.waits:
		case <-ctx.Done():
			f.gone <- ctx.Err()
			return Operation{}, ctx.Err()
		}
	}
	return Operation{Affected: services}, f.err
}

func (f *fake) Status(context.Context, []string) (Status, error) {
	return Status{Schema: 1, Appliance: Appliance{Release: "demo-1.0.0", SetupURL: "http://x/?token=secret"}}, f.err
}
func (f *fake) Start(ctx context.Context, who Peer, s []string) (Operation, error) {
	return f.operate(ctx, "start", who, s)
}
func (f *fake) Stop(ctx context.Context, who Peer, s []string) (Operation, error) {
	return f.operate(ctx, "stop", who, s)
}
func (f *fake) Restart(ctx context.Context, who Peer, s []string) (Operation, error) {
	return f.operate(ctx, "restart", who, s)
}
func (f *fake) Shutdown(_ context.Context, who Peer) error {
	f.note("shutdown", who)
	if f.down != nil {
		<-f.down
	}
	return nil
}
func (f *fake) Reload(_ context.Context, who Peer) (Change, error) {
	f.note("reload", who)
	return Change{Restarted: []string{"worker"}}, f.err
}
func (f *fake) Diff(context.Context, string) (Change, error) { return Change{}, f.err }
func (f *fake) Why(_ context.Context, service string) ([]Link, error) {
	return []Link{{Service: service, State: Backoff}}, f.err
}
func (f *fake) Events(ctx context.Context, q EventQuery) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for _, e := range f.events {
			if !yield(e, nil) {
				return
			}
		}
		for f.endless && ctx.Err() == nil {
			if !yield(Event{Kind: "state", Message: string(make([]byte, 8<<10))}, nil) {
				return
			}
		}
		if f.breaks != nil {
			yield(Event{}, f.breaks)
			return
		}
		if q.Follow {
			<-ctx.Done()
		}
	}
}
func (f *fake) Logs(_ context.Context, q LogQuery) iter.Seq2[LogLine, error] {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.logQuery = q
	return func(yield func(LogLine, error) bool) {
		for _, l := range f.logs {
			if !yield(l, f.err) {
				return
			}
		}
	}
}
func (f *fake) ExecSpec(_ context.Context, who Peer, service string) (ExecSpec, error) {
	f.note("exec-spec", who)
	return ExecSpec{Dir: "/" + service, Env: []string{"PGPASSWORD=secret"}}, f.err
}
func (f *fake) Config(context.Context) (any, error) {
	return map[string]string{"a": "b"}, f.err
}

// serve serves a fake on a socket of its own, until the test ends.
func serve(t *testing.T, f *fake) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "admin.sock")
	l, err := Listen(path)
	require.NoError(t, err)
	serveOn(t, l, f)
	return path
}

func serveOn(t *testing.T, l net.Listener, f *fake) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1\n")) })
	go func() { ended <- Serve(ctx, l, f, map[string]http.Handler{"/metrics": metrics}) }()
	end = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = end() }) // a test that cares has called it
	return end
}
