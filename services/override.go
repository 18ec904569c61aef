package services

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/sourcegraph/appliance/limits"
)

// Override is what a site may say of a service, and what a [Variant] changes: a nil or empty field leaves the definition as it is.
//
// The same value defines a service of the site's own: see [FromSite]. The tags are those of supervisor/roster/keys: a field with its tags is a
// key of the configuration, with its reference, schema and bounds.
type Override struct {
	Command  []string           `yaml:"command,omitempty" doc:"the program, absolute or a name that is looked up, and its arguments; replaces the definition's" example:"[/usr/local/bin/hello, --listen, '{{ .Address.http }}']"`
	Args     []string           `yaml:"args,omitempty" doc:"arguments behind the definition's" example:"[-c, work_mem=16MB]"`
	Env      map[string]*string `yaml:"env,omitempty" key:"VARIABLE" doc:"a variable of its environment" example:"dbug" null:"takes the variable away" keypattern:"^[A-Za-z_][A-Za-z0-9_]*$" keywants:"a name of a variable"`
	User     string             `yaml:"user,omitempty" doc:"the account that it runs as; made when it is not there" example:"hello" unset:"sg-<name>" pattern:"^[a-z_][a-z0-9_-]{0,30}$" wants:"a name of an account: up to 31 lower-case letters, digits, - and _"`
	Caps     []string           `yaml:"caps,omitempty" doc:"capabilities that it keeps, by name without CAP_; replaces the definition's" example:"[NET_BIND_SERVICE]" unique:"true" pattern:"^[A-Z][A-Z0-9_]*$" wants:"a name of a capability such as NET_BIND_SERVICE"`
	Ports    map[string]int     `yaml:"ports,omitempty" key:"port" doc:"the port of one of its listeners on 127.0.0.1; 0 chooses a free one" example:"9099" min:"0" max:"65535" keypattern:"^[a-z][a-z0-9_]{0,30}$" keywants:"a name of a port: lower-case letters, digits and _"`
	Needs    []string           `yaml:"needs,omitempty" doc:"services that must be ready before it starts, and that stop after it; replaces the definition's" example:"[gitserver]" unique:"true" changing:"counts from the next start on; nothing is restarted"`
	Wants    []string           `yaml:"wants,omitempty" doc:"services that start before it if they are there; order only" example:"[jaeger]" unique:"true" changing:"counts from the next start on; nothing is restarted"`
	Ready    *Probe             `yaml:"ready,omitempty" doc:"how to find out that it is ready; replaces the definition's" null:"ready as soon as it runs" changing:"counts at once; nothing is restarted"`
	Live     *Probe             `yaml:"live,omitempty" doc:"how to find out that it hangs, which restarts it; replaces the definition's" null:"it is never restarted for being silent" without:"log,notify" changing:"counts at once; nothing is restarted"`
	Start    *StartChange       `yaml:"start,omitempty" doc:"how long it may take to become ready" changing:"counts from the next start on; nothing is restarted"`
	Stop     *StopChange        `yaml:"stop,omitempty" doc:"how it ends" changing:"counts at once; nothing is restarted"`
	Restart  *RestartChange     `yaml:"restart,omitempty" doc:"when a run that ended by itself is followed by the next" changing:"counts at once; nothing is restarted"`
	Replicas *int               `yaml:"replicas,omitempty" doc:"how many of it run; each has data of its own" example:"3" min:"1" max:"1000" unset:"1" changing:"starts or stops instances, and restarts the services that are told their addresses"`
	Retired  []int              `yaml:"retired,omitempty" doc:"numbers of replicas that are no more and whose data may lie unused where it is" example:"[2]" unset:"none: fewer replicas than hold data of their own are refused" min:"1" max:"999" unique:"true" changing:"counts at once; nothing is restarted"`
	Budget   *BudgetChange      `yaml:"budget,omitempty" doc:"what it may use"`
	Log      *LogChange         `yaml:"log,omitempty" doc:"how its output is kept" changing:"counts at once; nothing is restarted"`
	Metrics  *Metrics           `yaml:"metrics,omitempty" doc:"where Prometheus finds its metrics; replaces the definition's" null:"it has none" changing:"counts at once; nothing is restarted"`
	Disabled *bool              `yaml:"disabled,omitempty" doc:"true keeps it from running; false starts one that is off unless somebody wants it" example:"true" changing:"stops or starts it"`
}

// StartChange changes parts of a [Start].
type StartChange struct {
	Timeout *time.Duration `yaml:"timeout,omitempty" doc:"from exec to ready; 0s is no limit" example:"5m" min:"0s" max:"24h"`
}

// StopChange changes parts of a [Stop].
type StopChange struct {
	Signal *Signal        `yaml:"signal,omitempty" doc:"the signal that asks it to end" example:"INT"`
	To     *StopTo        `yaml:"to,omitempty" doc:"whom the signal goes to: its main process, or all of its processes" example:"group" enum:"main,group"`
	Grace  *time.Duration `yaml:"grace,omitempty" doc:"from the signal to KILL; shorter when the whole stop is" example:"10s" min:"0s" max:"24h"`
	Wait   *bool          `yaml:"wait,omitempty" doc:"send no signal, and wait for its own end" example:"true"`
}

// RestartChange changes parts of a [Restart].
type RestartChange struct {
	Delay      *time.Duration `yaml:"delay,omitempty" doc:"pause after a run that was ready for reset_after" example:"1s" min:"0s" max:"24h"`
	Max        *time.Duration `yaml:"max,omitempty" doc:"longest pause between failures in a row" example:"30s" min:"1ms" max:"24h"`
	ResetAfter *time.Duration `yaml:"reset_after,omitempty" doc:"ready for this long: the next failure counts as a first one" example:"10s" min:"0s" max:"24h"`
	Expected   *string        `yaml:"expected,omitempty" doc:"an exit after a log line that matches is no failure" example:"Detected settings change" format:"regex" wants:"a regular expression"`
}

// BudgetChange changes parts of a [Budget].
type BudgetChange struct {
	Memory    *limits.Size `yaml:"memory,omitempty" doc:"most memory, page cache included" example:"2GiB"`
	MemoryLow *limits.Size `yaml:"memory_low,omitempty" doc:"memory that others' needs leave to it" example:"256MiB"`
	CPUs      *limits.CPUs `yaml:"cpus,omitempty" doc:"most CPUs" example:"0.5"`
	CPUWeight *int         `yaml:"cpu_weight,omitempty" doc:"its share when CPUs are short; 100 is everybody's" example:"200" min:"1" max:"10000"`
	Pids      *int         `yaml:"pids,omitempty" doc:"most processes and threads" example:"512" min:"1"`
	NoFile    *int         `yaml:"nofile,omitempty" doc:"most open files of one process" example:"65536" min:"16" max:"1048576"`
}

// LogChange changes parts of a [Log].
type LogChange struct {
	MaxSize *limits.Size `yaml:"max_size,omitempty" doc:"size of one file, at least 64KiB" example:"32MiB"`
	Keep    *int         `yaml:"keep,omitempty" doc:"full files that are kept beside the current one" example:"8" min:"0" max:"1000"`
	Format  *string      `yaml:"format,omitempty" doc:"how its lines are written, which says where their level stands" example:"json" enum:"logfmt,json,postgres,redis,go,plain"`
}

// apply returns the definition with the change made; d and what it refers to stay untouched.
func (o Override) apply(d Definition) Definition {
	if o.Command != nil {
		d.Command = o.Command
	}
	if o.Args != nil {
		d.Command = slices.Concat(d.Command, o.Args)
	}
	if len(o.Env) > 0 {
		d.Env = mergeEnv(d.Env, o.Env)
		d.Beside = d.Beside.without(o.Env)
		d.Unset = unset(d.Unset, o.Env)
	}
	if len(o.Ports) > 0 {
		d.Ports = mergePorts(d.Ports, o.Ports)
	}
	set(&d.User, o.User)
	if o.Needs != nil {
		d.Needs = slices.Clone(o.Needs)
	}
	if o.Wants != nil {
		d.Wants = slices.Clone(o.Wants)
	}
	if o.Caps != nil {
		d.Caps = slices.Clone(o.Caps)
	}
	replace(&d.Ready, o.Ready)
	replace(&d.Live, o.Live)
	replace(&d.Metrics, o.Metrics)
	o.applyRules(&d)
	return d
}

// replace takes a new part; an empty one takes the old away.
func replace[T any](to **T, part *T) {
	switch {
	case part == nil:
	case reflect.ValueOf(part).Elem().IsZero():
		*to = nil
	default:
		*to = part
	}
}

func (o Override) applyRules(d *Definition) {
	if s := o.Start; s != nil {
		setTo(&d.Start.Timeout, s.Timeout)
	}
	if s := o.Stop; s != nil {
		if s.Signal != nil {
			d.Stop.Signal = s.Signal.Number
		}
		setTo(&d.Stop.To, s.To)
		setTo(&d.Stop.Grace, s.Grace)
		setTo(&d.Stop.Wait, s.Wait)
	}
	if r := o.Restart; r != nil {
		setTo(&d.Restart.Delay, r.Delay)
		setTo(&d.Restart.Max, r.Max)
		setTo(&d.Restart.ResetAfter, r.ResetAfter)
		setTo(&d.Restart.Expected, r.Expected)
	}
	if b := o.Budget; b != nil {
		b.apply(&d.Budget)
	}
	if l := o.Log; l != nil {
		setTo(&d.Log.MaxSize, (*int64)(l.MaxSize))
		setTo(&d.Log.Keep, l.Keep)
		setTo(&d.Log.Format, l.Format)
	}
}

func (b BudgetChange) apply(to *Budget) {
	setTo(&to.Memory, (*int64)(b.Memory))
	setTo(&to.MemoryLow, (*int64)(b.MemoryLow))
	setTo(&to.CPUs, (*float64)(b.CPUs))
	setTo(&to.CPUWeight, b.CPUWeight)
	setTo(&to.Pids, b.Pids)
	setTo(&to.NoFile, b.NoFile)
}

func mergeEnv(env map[string]string, change map[string]*string) map[string]string {
	out := make(map[string]string, len(env)+len(change))
	maps.Copy(out, env)
	for name, value := range change {
		if value == nil {
			delete(out, name)
			continue
		}
		out[name] = *value
	}
	return out
}

// unset adds the variables that are taken away, and drops those that are given a value again.
func unset(names []string, change map[string]*string) []string {
	out := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return change[name] != nil })
	for _, name := range slices.Sorted(maps.Keys(change)) {
		if change[name] == nil && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

func mergePorts(ports []Port, change map[string]int) []Port {
	out := slices.Clone(ports)
	for _, name := range slices.Sorted(maps.Keys(change)) {
		i := slices.IndexFunc(out, func(p Port) bool { return p.Name == name })
		if i < 0 {
			out = append(out, Port{Name: name})
			i = len(out) - 1
		}
		out[i].Number, out[i].Site = change[name], true
	}
	return out
}

func set[T comparable](to *T, value T) {
	var zero T
	if value != zero {
		*to = value
	}
}

func setTo[T any](to, value *T) {
	if value != nil {
		*to = *value
	}
}
