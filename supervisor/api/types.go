package api

import "time"

// State is what a person sees of a service.
type State string

// The states of interface.md.
const (
	Waiting    State = "waiting"
	Starting   State = "starting"
	Ready      State = "ready"
	Degraded   State = "degraded"
	Stopping   State = "stopping"
	Stopped    State = "stopped"
	Backoff    State = "backoff"
	Failed     State = "failed"
	Unkillable State = "unkillable"
)

// Cause is why a run ended.
type Cause string

// The causes of interface.md.
const (
	CauseExec       Cause = "exec"
	CauseConfig     Cause = "config"
	CauseDependency Cause = "dependency"
	CauseOOM        Cause = "oom"
	CauseLiveness   Cause = "liveness"
	CauseSignal     Cause = "signal"
	CauseExit       Cause = "exit"
	CauseStopped    Cause = "stopped"
)

// Status is the document of `status --json`. Fields are only ever added.
type Status struct {
	Schema    int       `json:"schema"` // 1
	Appliance Appliance `json:"appliance"`
	Services  []Service `json:"services"`
}

// Appliance is the product as a whole.
type Appliance struct {
	Version    string `json:"version"`
	Release    string `json:"release"`
	Ready      bool   `json:"ready"`
	Since      Time   `json:"since"`
	Address    string `json:"address"`
	PID        int    `json:"pid"`
	Stage0PID  int    `json:"stage0_pid"`
	DoorPID    int    `json:"door_pid"`
	SetupURL   string `json:"setup_url"`
	LastBackup *Time  `json:"last_backup"`
	Grade      Grade  `json:"grade"`

	Warnings []string `json:"warnings"` // what a person should know although all services are well
	Config   Config   `json:"config"`
}

// Config says whether the files of the configuration are what runs.
type Config struct {
	State   string   `json:"state"`             // applied, changed, invalid
	Fault   string   `json:"fault,omitempty"`   // why it is invalid, or why a change is not applied yet
	Since   Time     `json:"since"`             // when that was seen; null while applied
	Restart []string `json:"restart,omitempty"` // what applying it would restart,
	Start   []string `json:"start,omitempty"`   // start
	Stop    []string `json:"stop,omitempty"`    // and stop
	Setting []string `json:"settings,omitempty"`
}

// The states of a [Config].
const (
	ConfigApplied = "applied"
	ConfigChanged = "changed"
	ConfigInvalid = "invalid"
)

// Grade is what the guarantees are worth on this machine.
type Grade struct {
	Limits    string   `json:"limits"`    // v2, v1, soft
	Isolation string   `json:"isolation"` // full, partial
	Why       []string `json:"why"`
}

// Service is one instance.
type Service struct {
	Name        string            `json:"name"` // the service's; gitserver/1 has name gitserver, instance 1
	Instance    int               `json:"instance"`
	Replicas    int               `json:"replicas"`
	Kind        string            `json:"kind"`
	Wanted      bool              `json:"wanted"`
	State       State             `json:"state"`
	Since       Time              `json:"since"`
	Reason      string            `json:"reason"`
	WaitingFor  []string          `json:"waiting_for"`
	StoppedBy   string            `json:"stopped_by,omitempty"`
	PID         int               `json:"pid"`
	Run         uint64            `json:"run"`
	Restarts    int               `json:"restarts"`
	LastExit    *Exit             `json:"last_exit"`
	MemoryBytes int64             `json:"memory_bytes"`
	CPUSeconds  float64           `json:"cpu_seconds"`
	Addresses   map[string]string `json:"addresses"`
	Program     string            `json:"program"`
	Source      string            `json:"source"` // release, host, override
	Loss        string            `json:"loss,omitempty"`
	Needs       []string          `json:"needs"`
	Budget      Budget            `json:"budget"`
}

// Exit is how a run ended.
type Exit struct {
	At     Time   `json:"at"`
	Cause  Cause  `json:"cause"`
	Code   int    `json:"code"`
	Signal string `json:"signal"` // without SIG
}

// Budget is what a service may use, and how that is enforced.
type Budget struct {
	MemoryMaxBytes int64  `json:"memory_max_bytes"`
	CPUWeight      int    `json:"cpu_weight"`
	PidsMax        int    `json:"pids_max"`
	Grade          string `json:"grade"`
}

// Event is one transition or one operator's command, kept in the store.
type Event struct {
	At       Time              `json:"at"`
	Seq      uint64            `json:"seq"`
	Service  string            `json:"service"` // instance name; empty for the appliance itself
	Run      uint64            `json:"run,omitempty"`
	Kind     string            `json:"kind"` // state, command, adopted, exit, probe, appliance …
	From     State             `json:"from,omitempty"`
	To       State             `json:"to,omitempty"`
	Cause    string            `json:"cause,omitempty"`
	CausedBy string            `json:"caused_by,omitempty"` // instance name whose trouble this follows from
	Message  string            `json:"message"`
	Evidence map[string]string `json:"evidence,omitempty"`
	Actor    string            `json:"actor,omitempty"`    // uid and command of who asked
	Services []string          `json:"services,omitempty"` // instances that a command is for
}

// LogLine is one line of a service's log.
type LogLine struct {
	At      Time   `json:"at"`
	Service string `json:"service"`
	Run     uint64 `json:"run,omitempty"`
	Level   string `json:"level,omitempty"` // debug, info, warn, error, or empty if not known
	Text    string `json:"text"`
	Cut     bool   `json:"cut,omitempty"` // continues in the next line
}

// Link is one step of `why`.
type Link struct {
	Service  string            `json:"service"`
	CauseOf  string            `json:"cause_of,omitempty"` // the service whose state follows from this; empty: asked for
	State    State             `json:"state"`
	Message  string            `json:"message"`
	Evidence map[string]string `json:"evidence,omitempty"`
	LastLog  []string          `json:"last_log,omitempty"`
	Next     string            `json:"next,omitempty"` // the next command to type
	At       Time              `json:"at"`
}

// Time is RFC 3339 UTC with milliseconds in JSON.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes RFC 3339 UTC with milliseconds, or null for the zero time.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + t.UTC().Format(timeLayout) + `"`), nil
}

// UnmarshalJSON reads what MarshalJSON writes, and any RFC 3339 time.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		t.Time = time.Time{}
		return nil
	}
	at, err := time.Parse(`"`+time.RFC3339Nano+`"`, string(b))
	if err != nil {
		return err
	}
	t.Time = at
	return nil
}
