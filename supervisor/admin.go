package supervisor

import (
	"context"
	"errors"
	"net/http"
	"path/filepath"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// Shutdown ends the appliance, after an ordered stop.
func (s *Supervisor) Shutdown(_ context.Context, who api.Peer) error {
	s.event(api.Event{Kind: "command", Message: "shutdown", Actor: actor(who)})
	s.orderStop(s.opts.StopTimeout)
	return nil
}

// ExecSpec is what a command beside a service's processes runs with.
func (s *Supervisor) ExecSpec(_ context.Context, who api.Peer, name string) (api.ExecSpec, error) {
	chosen, err := s.resolve([]string{name})
	if err != nil {
		return api.ExecSpec{}, err
	}
	u := s.host.unit(chosen[0])
	spec, err := s.host.execSpec(u)
	if err != nil {
		return spec, err
	}
	s.command(who, "exec", chosen[:1])
	return spec, nil
}

// Config is the effective configuration; secrets are in it by reference.
func (s *Supervisor) Config(context.Context) (any, error) {
	site := s.site()
	return struct {
		Site any `json:"site"`
		Plan any `json:"plan"`
	}{site, s.plan()}, nil
}

// asAPIError gives an error the exit code and remedy that it carries.
func asAPIError(err error) error {
	e := &api.Error{Code: 1, Message: err.Error()}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		e.Code = coded.ExitCode()
	}
	var hint interface{ Hint() string }
	if errors.As(err, &hint) {
		e.Remedy = hint.Hint()
	}
	return e
}

// serveAdmin answers on the admin socket.
func (s *Supervisor) serveAdmin(ctx context.Context) error {
	l, err := api.Listen(filepath.Join(s.opts.Roster.RunDir, "admin.sock"))
	if err != nil {
		return err
	}
	return api.Serve(ctx, l, s, map[string]http.Handler{"/metrics": s.scrape})
}
