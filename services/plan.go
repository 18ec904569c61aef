package services

import (
	"slices"
	"strconv"
)

// Plan is everything that runs, fully resolved: an immutable value that the engine walks. Only secrets are still by reference.
type Plan struct {
	Product   string // demo, sourcegraph, none
	Version   string
	Release   string // <version>-<digest>, or "none"
	Instances []Instance
	Exposed   []Exposed `json:",omitempty"` // listeners that nothing keeps on loopback
	Hash      string    // of all instances; equal hashes run the same programs in the same way
}

// Instance is one replica of a service with every template rendered.
//
// A string may hold "@secret{NAME}", replaced with the secret's content just before it is used, never earlier.
type Instance struct {
	Service  string // definition's name
	Number   int    // 0 for a singleton
	Replicas int    // of its service
	Kind     Kind
	Wanted   bool // false: disabled
	Loss     string
	Origin   string

	Program   string            // absolute path of the executable
	Source    string            // "release", "host" or "override" (the site names it): where Program comes from
	Build     string            `json:",omitempty"` // digest of Program where that is an engineer's own build
	Argv      []string          // with argv[0]
	Env       []string          // KEY=value, sorted
	Dir       string            // working directory, also HOME: one of Data
	RunDir    string            // below the run directory, for files and sockets: made before each start, 0700, owned by the service's user
	Addresses map[string]string // port name -> 127.0.0.1:port
	Loopback  bool              // where the kernel can, it keeps what listens on all interfaces on loopback
	Needs     []string          // instance names
	Wants     []string          // instance names

	Prepare []Prepare
	Files   []File
	Data    []Data
	User    string // account name, resolved to a uid by the supervisor
	Caps    []string

	Ready, Live *Probe // nil as in Definition
	Start       Start
	Stop        Stop
	Restart     Restart
	Log         Log
	Budget      Budget
	Metrics     *Metrics

	Hash string // of all the above that a running process was started with: differs means restart
}

// Name is what the engine, the logs and the run directory call the instance: "frontend", or "gitserver/1" when there are several.
func (i Instance) Name() string {
	if i.Replicas > 1 {
		return i.Service + "/" + strconv.Itoa(i.Number)
	}
	return i.Service
}

// Rebuilt is the plan with another build of a service's program at the same path.
func (p Plan) Rebuilt(service, build string) Plan {
	p.Instances = slices.Clone(p.Instances)
	for i := range p.Instances {
		if inst := &p.Instances[i]; inst.Service == service {
			inst.Build = build
			inst.Hash = hashRun(*inst)
		}
	}
	p.Hash = hash(p.Instances)
	return p
}
