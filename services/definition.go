package services

import (
	"syscall"
	"time"
)

// Definition says everything the appliance knows of one service. It is data: the wiring in this package turns it,
// a release and the site's configuration into a [Plan].
//
// Strings in Command, Env, Files, Prepare, Data.Path and Probe.Exec are text/template; [Scope] is what they may refer to.
type Definition struct {
	Name     string     // as the program is called, except postgres, redis-cache, redis-store, blobstore
	Kind     Kind       // what the supervisor waits for
	Releases []Releases // which products and versions carry it; the site's own services leave it empty
	Loss     string     // what users lose while it is down, as the end of "while it is down, …"

	Command []string          // argv; Command[0] is a program of the release, or of the host when Host is set
	Host    *HostProgram      // where Command[0] may come from when the release does not carry it
	Env     map[string]string // its whole environment, beside what every service gets (PATH, HOME, LANG, TZ, NO_PROXY …)
	Beside  Beside            // variables that it has only while another service runs
	Unset   []string          // variables that every service gets, and that this one must not have
	Ports   []Port
	Needs   []string // started after these are ready; stopped before them
	Wants   []string // order only

	Prepare []Prepare // once, before the first start: initdb and the like
	Files   []File    // written before each start
	Data    []Data
	User    string   // default account, at most 31 characters; empty for sg-<name>
	Caps    []string // capabilities kept, by name without CAP_; almost always none

	Ready   *Probe // nil: ready once exec succeeded, or for a oneshot once it exited 0
	Live    *Probe // nil: never killed for being silent
	Without Without
	Start   Start
	Stop    Stop
	Restart Restart
	Log     Log
	Budget  Budget
	Demand  Demand

	Metrics  *Metrics
	Replicas Replicas
	Switch   Switch        // how an upgrade replaces it
	Snapshot SnapshotClass // whether an upgrade's snapshot must contain its data
	Outbound []Destination // what it calls outside this machine; empty: nothing
	Optional string        // why it is off unless services.<name>.disabled: false; empty: it runs
	Spare    bool          // a release may lack its program: then it is off, and what users lose is said
	Origin   string        // "built in", or the drop-in file that defines it
	Variants []Variant     // what is different in some versions; At applies it
}

// Without says why a part that services usually have is missing. A built-in definition gives the reason or the part.
type Without struct{ Ready, Live, Metrics string }

// Beside are variables by the service beside which they are set, over Env: PROMETHEUS_URL while prometheus is there and not disabled.
// What the site says of a variable wins over both.
type Beside map[string]map[string]string

// Variant is how a service differs in a range of versions. An empty field leaves the definition as it is.
type Variant struct {
	In        []Releases
	Why       string
	Change    Override
	Beside    Beside  // merged by service and variable
	Ports     []Port  // replace the ports of the same names, and add others
	Loss      string  // replaces
	Optional  *string // replaces; to "": it runs
	LogFormat string
}

// Kind is what the supervisor expects of a service's process.
type Kind string

// The kinds of process-model.md section 8.
const (
	KindService  Kind = "service"  // runs for ever
	KindOneshot  Kind = "oneshot"  // runs to its end; ready when it exited 0
	KindExternal Kind = "external" // runs elsewhere; only probed
)

// Releases is a range of versions of one product, [From, Until); an empty Until means still there.
type Releases struct{ Product, From, Until string }

// HostProgram names a program of the operating system that stands in for one of the release.
type HostProgram struct {
	Names   []string // file names, the first found wins
	Dirs    []string // globs searched before PATH, newest version first: /usr/lib/postgresql/*/bin
	Package string   // the distribution's package that brings it, for the error's remedy
}

// Port is one listener of a service.
type Port struct {
	Name   string // http, internal, debug …
	Number int    // the catalog's port, taken when it is free at the first start
	Fixed  bool   // the program offers no way to set it: the service runs once on a machine
	Site   bool   // the site asks for exactly this number
	Bind   Bind   // what keeps it on loopback
}

// Bind names what keeps a listener on loopback.
type Bind string

// The means of binding, the best first.
const (
	BindSet    Bind = ""               // its address is set: by a variable, a flag, or a file
	BindSwitch Bind = "INSECURE_DEV"   // a switch binds all listeners of the process; its number cannot be set
	BindAll    Bind = "all interfaces" // nothing does: it can be reached from outside unless the machine or its network keeps others away
)

// Prepare makes a directory once, whole or not at all: Steps write to {{.New}}, which is renamed to Creates at the end.
type Prepare struct {
	Creates string // absolute; nothing is done when it exists. Its parent is one of the service's data directories
	Steps   []Step
	Timeout time.Duration // for all steps; 0 means 5 minutes
}

// Step is one command of a [Prepare], run as the service's user in the service's environment and cgroup.
type Step struct {
	Command []string
	Stdin   string // may hold secrets; a pipe that belongs to the service's user, so that /dev/stdin can be opened
}

// File is a file that the appliance writes for a service, owned by the service's user.
type File struct {
	Path    string // its directory is made, too, when it is not there
	Mode    uint32
	Content string   // may hold secrets
	From    []Source `json:",omitempty"` // files of the site that are written in its stead, one behind the other
}

// Source is a file of the site that is read each time it is needed, so that its content is part of no plan.
type Source struct {
	Path  string
	Stamp string `json:",omitempty"` // another when the file has changed
}

// Data is a directory that a service writes: made before the first start, 0700, owned by the service's user.
type Data struct {
	Name     string
	Path     string // below the data directory; absolute in an [Instance]
	Below    string `json:"-"` // Path as the definition has it, in an [Instance]
	Class    DataClass
	Identity string // why its name or its service's address is part of the data; empty if neither is
	Moves    string `json:"-"`          // how what is in it comes to the other replicas when its own is no more; empty: not at all
	Of       string `json:",omitempty"` // the service whose directory this is, shared with it: both have the same User
}

// DataClass says what a loss of the directory costs.
type DataClass string

// The classes of services.md section 9.
const (
	DataState DataClass = "state" // cannot be made again
	DataCache DataClass = "cache" // can be made again, at a cost
	DataNone  DataClass = "none"  // scratch
)

// Probe asks a service whether it is ready or alive. Exactly one of HTTP, TCP, Exec, Postgres, Redis, Log, Notify, Databases, RedisServer and Storage is set.
type Probe struct {
	HTTP     string   `yaml:"http,omitempty" doc:"a path that is answered with 2xx" example:"/healthz" pattern:"^/" wants:"a path that begins with /"`
	TCP      bool     `yaml:"tcp,omitempty" doc:"the port accepts a connection" example:"true" only:"true"`
	Postgres bool     `yaml:"postgres,omitempty" doc:"the port answers PostgreSQL's start-up packet with anything but that it is starting" example:"true" only:"true"`
	Redis    bool     `yaml:"redis,omitempty" doc:"the port answers PING with PONG, or asks for a password" example:"true" only:"true"`
	Exec     []string `yaml:"exec,omitempty" doc:"a command that exits 0, run as the service's user" example:"[/bin/test, -e, '{{ .Run }}/ready']"`
	Log      string   `yaml:"log,omitempty" doc:"a line of its log that matches" example:"ready to accept" format:"regex" pattern:"." wants:"a regular expression"`
	Notify   bool     `yaml:"notify,omitempty" doc:"it sends READY=1 to NOTIFY_SOCKET, as sd_notify(3) does" example:"true" only:"true"`
	Port     string   `yaml:"port,omitempty" doc:"the name of the port that is asked" example:"http"`

	Databases   []Database     `yaml:"-" json:",omitempty"` // each can be used as Sourcegraph needs it (elsewhere only)
	RedisServer *RedisServer   `yaml:"-" json:",omitempty"` // it takes the password and is no replica (elsewhere only)
	Storage     *ObjectStorage `yaml:"-" json:",omitempty"` // it takes the key and has the bucket (elsewhere only)

	Every    time.Duration `yaml:"every,omitempty" doc:"time between two probes once it is ready; while it starts they come faster" example:"1s" default:"10s" min:"1ms" max:"24h"`
	Timeout  time.Duration `yaml:"timeout,omitempty" doc:"how long one probe may take" example:"2s" default:"5s" min:"1ms" max:"24h"`
	Failures int           `yaml:"failures,omitempty" doc:"failures in a row after which it counts as not ready, or as hung" example:"5" default:"3" min:"1" max:"1000"`
}

// Start bounds the time from exec to ready.
type Start struct {
	Timeout time.Duration // 0: no limit
}

// StopTo says which processes the stop signal goes to.
type StopTo string

// Main is the default; everything left in the cgroup is killed after the grace in either case.
const (
	ToMain  StopTo = "main"
	ToGroup StopTo = "group"
)

// Stop says how a service ends.
type Stop struct {
	Signal syscall.Signal
	To     StopTo
	Grace  time.Duration // from Signal to SIGKILL; scaled to the stop budget
	Wait   bool          // no signal at all: wait for its own end (a running migrator)
	Weight int           // thirds of the stop budget kept for it at the end, 0 to 2: 1 for PostgreSQL's fast shutdown, else 0
}

// Restart says when a run that ended by itself is followed by the next.
type Restart struct {
	Delay      time.Duration  // after a run that was ready for at least ResetAfter
	Max        time.Duration  // ceiling of min(Max, 100 ms · 2ⁿ ± 20 %) for the n-th consecutive shorter run
	ResetAfter time.Duration  // ready for this long: the next failure is a first one
	Final      Final          `json:",omitzero"` // failures that no restart mends
	Expected   string         // an exit after a log line matching this counts as no failure
	Codes      map[int]string `json:",omitempty"` // what an exit code of the program means, for whoever asks why
}

// Final says which failures need a person's decision before the next run; the zero value says none.
type Final struct {
	Signal bool   // ended by a signal, in the middle of what cannot be done twice
	Log    string // ended with an error after a log line matching this regular expression
	Remedy string // what to do before it is started again
}

// Log says how the output of a service is kept.
type Log struct {
	MaxSize int64  // bytes of one file
	Keep    int    // rotated files beside the current one
	Format  string // logfmt, json, postgres, redis, go, plain
}

// Budget bounds what a service may use; zero means no bound.
type Budget struct {
	Memory    int64   // bytes, memory.max
	MemoryLow int64   // bytes that reclaim leaves alone
	CPUs      float64 // cpu.max
	CPUWeight int     // 1..10000, 100 is the default
	Pids      int
	NoFile    int // descriptors, soft limit
}

// Demand is what the planning of budgets may know of a service beside its [Budget], whose Memory is the ceiling. None of it is part of a plan:
// what follows from it is.
type Demand struct {
	Floor   int64   // bytes without which it does not do its work
	Share   int     // of the memory that is left above all floors, relative to the others
	Elastic Elastic // what it does with more
	OOMRank int     // 1 is killed last, 5 first, when the whole machine runs out of memory
	Knobs   []Knob  // its run-time settings that follow from a budget
}

// Elastic says what a service does with more memory than its floor.
type Elastic string

// The ways of growing.
const (
	ElasticFixed Elastic = "fixed" // its need hardly moves
	ElasticLoad  Elastic = "load"  // grows with what it is asked for, and with the size of one thing it works on
	ElasticCache Elastic = "cache" // turns any amount into fewer reads, up to the size of its data
)

// Knob is a run-time setting of a service that follows from its budget.
type Knob struct {
	Name    string     // GOMEMLIMIT, shared_buffers, SEARCHER_CACHE_SIZE_MB …
	Of      Resource   // what it follows from
	Percent int        // of that, in the knob's own unit; 0: by another rule, in Why
	Auto    bool       // the wiring sets it as a variable while the budget bounds the resource; else Env, Command or Files hold a number
	In      []Releases // empty: all that the service is in
	Why     string     // the rule, and its source
}

// Resource is what a budget bounds.
type Resource string

// The resources that knobs follow from.
const (
	OfMemory Resource = "memory"
	OfCPUs   Resource = "cpus"
	OfDisk   Resource = "disk"
)

// Metrics is where Prometheus scrapes a service.
type Metrics struct {
	Port string `yaml:"port" doc:"the name of the port" example:"http"`
	Path string `yaml:"path" doc:"the path" example:"/metrics" default:"/metrics" pattern:"^/" wants:"a path that begins with /"`
	Job  string `yaml:"job,omitempty" json:",omitempty" doc:"the job that it is scraped as; dashboards and alerts choose by it" example:"hello" unset:"the service's name"` // as which job, since Sourcegraph's dashboards and alerts choose by that; empty: the service's name
}

// Replicas says whether a service can run more than once.
type Replicas struct {
	Max      int    // 0 and 1: a singleton
	Driver   string // what its number should follow: "repositories", "users" …
	Identity bool   // each replica has data of its own that stays with its number
	Once     string // why a singleton runs once, for the refusal of more; empty if nobody said
	With     string // the service whose replica of the same number it belongs to: there are as many of both
}

// Switch is how an upgrade replaces a service.
type Switch string

// The switch rules of architecture.md section 4.
const (
	SideBySide    Switch = "side by side"
	StopThenStart Switch = "stop, then start"
)

// SnapshotClass says how a service's data enters a snapshot.
type SnapshotClass string

// The snapshot classes of architecture.md section 4.
const (
	SnapshotAlways SnapshotClass = "always"
	SnapshotShared SnapshotClass = "shared" // immutable or re-creatable content, kept across generations
	SnapshotNever  SnapshotClass = "never"
)
