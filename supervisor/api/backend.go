package api

import (
	"context"
	"iter"
	"time"
)

// Backend is what the admin API asks of the supervisor. Stage 1 implements it; the handler adds HTTP, peers and recording.
type Backend interface {
	Status(ctx context.Context, services []string) (Status, error)
	Start(ctx context.Context, who Peer, services []string) (Operation, error)
	Stop(ctx context.Context, who Peer, services []string) (Operation, error) // none: all
	Restart(ctx context.Context, who Peer, services []string) (Operation, error)
	Shutdown(ctx context.Context, who Peer) error
	Reload(ctx context.Context, who Peer) (Change, error)
	Diff(ctx context.Context, file string) (Change, error) // what a reload would do; of another file when one is named
	Why(ctx context.Context, service string) ([]Link, error)
	Events(ctx context.Context, q EventQuery) iter.Seq2[Event, error]
	Logs(ctx context.Context, q LogQuery) iter.Seq2[LogLine, error]
	ExecSpec(ctx context.Context, who Peer, service string) (ExecSpec, error)
	Config(ctx context.Context) (any, error) // effective configuration, secrets by reference
}

// Peer is who is at the other end of the admin socket, from SO_PEERCRED.
type Peer struct {
	UID     int
	PID     int
	Command string // the command line's words
}

// Operation is what a changing verb did or would do; it is sent when it is over.
type Operation struct {
	Affected []string `json:"affected"` // instances in the order in which they are stopped or started
	Killed   []string `json:"killed"`   // instances that had to be killed: exit code 3
	NotReady []string `json:"not_ready"`
	Messages []string `json:"messages"`
}

// Change is what a reload found.
type Change struct {
	Unchanged, Restarted, Started, Stopped []string
	Settings                               []string // keys of the appliance as a whole that differ
	Warnings                               []string
}

// EventQuery selects events, oldest first.
type EventQuery struct {
	Services     []string
	Since, Until time.Time
	Follow       bool
	Limit        int // newest N; 0: all
}

// LogQuery selects log lines of one or more services merged by time, oldest first.
type LogQuery struct {
	Services     []string
	Since, Until time.Time
	Grep         string // regular expression
	Level        string // least severity
	Limit        int    // newest N; 0: all
	Follow       bool
}

// ExecSpec is a service's environment for `exec`: what its processes run with.
type ExecSpec struct {
	Env     []string `json:"env"`
	Dir     string   `json:"dir"`
	UID     int      `json:"uid"`
	GID     int      `json:"gid"`
	Groups  []int    `json:"groups"`
	Cgroups []string `json:"cgroups"` // cgroup.procs or tasks files to write "0" to before exec
}

// Error is an answer other than success: the exit code that the command ends with, and the remedy.
type Error struct {
	Code    int    `json:"code"` // exit codes of interface.md
	Message string `json:"error"`
	Remedy  string `json:"remedy,omitempty"`
}

func (e *Error) Error() string { return e.Message }

// Hint is the remedy, printed on a line of its own.
func (e *Error) Hint() string { return e.Remedy }
