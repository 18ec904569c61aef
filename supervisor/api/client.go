package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// maxAnswer bounds one answer that is no stream, in bytes.
const maxAnswer = 64 << 20

// NoAppliance says that nobody answers on the admin socket, or that it is not open to us.
type NoAppliance struct {
	Socket string
	Err    error
}

func (e *NoAppliance) Error() string {
	if e.closed() {
		return fmt.Sprintf("the admin socket %s is not open to this user", e.Socket)
	}
	return "no appliance answers at " + e.Socket
}

// Unwrap is what the connection said.
func (e *NoAppliance) Unwrap() error { return e.Err }

// Hint says what to do.
func (e *NoAppliance) Hint() string {
	if e.closed() {
		return "use sudo; members of the group " + Group + " may read, if it existed when the appliance started"
	}
	return "start one with: sourcegraph run; if it runs elsewhere, name its directory with --data or --run-dir"
}

// ExitCode tells an appliance that refuses us from none.
func (e *NoAppliance) ExitCode() int {
	if e.closed() {
		return codeRefused
	}
	return codeNoAppliance
}

func (e *NoAppliance) closed() bool { return errors.Is(e.Err, fs.ErrPermission) }

// Client asks a running appliance. It may be used by several goroutines.
type Client struct {
	socket, command string
	http            *http.Client
}

// Dial makes a client of the appliance that answers on an admin socket; command is the command line for the history. It connects with the
// first call: until then nobody needs to answer.
func Dial(socket, command string) *Client {
	dialer := &net.Dialer{}
	return &Client{socket: socket, command: printable(command), http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
	}}}
}

// Socket is where the client asks.
func (c *Client) Socket() string { return c.socket }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks for the state of these services, or of all.
func (c *Client) Status(ctx context.Context, services []string) (st Status, err error) {
	return st, c.call(ctx, http.MethodGet, "status", named(services), &st)
}

// Start starts services and what they need; it returns when they are up, or have shown that they are not getting there.
func (c *Client) Start(ctx context.Context, services []string) (op Operation, err error) {
	return op, c.call(ctx, http.MethodPost, "start", named(services), &op)
}

// Stop stops services, first what needs them; none means all.
func (c *Client) Stop(ctx context.Context, services []string) (op Operation, err error) {
	return op, c.call(ctx, http.MethodPost, "stop", named(services), &op)
}

// Restart ends and starts services, and touches no others.
func (c *Client) Restart(ctx context.Context, services []string) (op Operation, err error) {
	return op, c.call(ctx, http.MethodPost, "restart", named(services), &op)
}

// Shutdown orders the end of the appliance; it returns when the order is heard.
func (c *Client) Shutdown(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "shutdown", nil, nil)
}

// Reload makes the appliance read its configuration again.
func (c *Client) Reload(ctx context.Context) (change Change, err error) {
	return change, c.call(ctx, http.MethodPost, "reload", nil, &change)
}

// Diff asks what a reload would do, of another configuration file when one is named.
func (c *Client) Diff(ctx context.Context, file string) (change Change, err error) {
	return change, c.call(ctx, http.MethodPost, "diff", url.Values{"file": {file}}, &change)
}

// Why asks for the causal chain behind a service's state, newest cause first.
func (c *Client) Why(ctx context.Context, service string) (chain []Link, err error) {
	return chain, c.call(ctx, http.MethodGet, "why", named([]string{service}), &chain)
}

// ExecSpec asks for what a service's processes run with, secrets included.
func (c *Client) ExecSpec(ctx context.Context, service string) (spec ExecSpec, err error) {
	return spec, c.call(ctx, http.MethodPost, "exec-spec", named([]string{service}), &spec)
}

// Config asks for the configuration in force.
func (c *Client) Config(ctx context.Context) (conf json.RawMessage, err error) {
	return conf, c.call(ctx, http.MethodGet, "config", nil, &conf)
}

func named(services []string) url.Values { return url.Values{"service": services} }

// call makes one call and reads its answer; into may be nil.
func (c *Client) call(ctx context.Context, method, verb string, q url.Values, into any) error {
	resp, err := c.send(ctx, method, verb, q)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return c.broken(verb, err)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the answer to %s: %w", verb, err)
	}
	return nil
}

// send makes a call and returns a good answer, its body unread.
func (c *Client) send(ctx context.Context, method, verb string, q url.Values) (*http.Response, error) {
	target := url.URL{Scheme: "http", Host: "appliance", Path: "/v1/" + verb, RawQuery: q.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", verb, err)
	}
	req.Header.Set(CommandHeader, c.command)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.fault(ctx, verb, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, c.broken(verb, err)
	}
	e := &Error{}
	if json.Unmarshal(body, e) != nil || e.Message == "" {
		e = &Error{Code: codeInternal, Message: fmt.Sprintf("%s was answered with %s", verb, resp.Status)}
	}
	return nil, e
}

// fault tells nobody there from somebody who went away.
func (c *Client) fault(ctx context.Context, verb string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, absent := range []error{fs.ErrNotExist, fs.ErrPermission, syscall.ECONNREFUSED, syscall.ENOTDIR} {
		if errors.Is(err, absent) {
			return &NoAppliance{Socket: c.socket, Err: err}
		}
	}
	return c.broken(verb, err)
}

// broken is a connection that ended before the answer: what was asked may have been done.
func (c *Client) broken(verb string, err error) error {
	return &Broken{Verb: verb, Err: err}
}

// Broken is a connection that ended before the answer did.
type Broken struct {
	Verb string
	Err  error
}

func (e *Broken) Error() string {
	return fmt.Sprintf("the supervisor went away before it had answered %s: %v", e.Verb, e.Err)
}

// Unwrap is what the connection said.
func (e *Broken) Unwrap() error { return e.Err }

// Hint says how to find out what was done.
func (e *Broken) Hint() string {
	return "it may have been carried out: see sourcegraph status and sourcegraph events"
}

// ExitCode is that of what is not known.
func (e *Broken) ExitCode() int { return codeInconclusive }
