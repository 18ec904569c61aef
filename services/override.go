package services

import (
	"maps"
	"slices"
	"time"
)

// Override is what a site may say of a service, and what a [Variant] changes: a nil or empty field leaves the definition as it is.
//
// The same value defines a service of the site's own: see [FromSite].
type Override struct {
	Command  []string           // replaces argv
	Args     []string           // appended to argv
	Env      map[string]*string // merged by name; nil takes the variable away
	User     string
	Ports    map[string]int // merged by name; the site wants exactly this number
	Needs    []string       // replaces; not nil and empty: none
	Wants    []string       // replaces
	Ready    *Probe         // replaces
	Live     *Probe         // replaces
	Stop     *StopChange
	Restart  *RestartChange
	Replicas *int
	Budget   *BudgetChange
	Log      *LogChange
	Disabled *bool
}

// StopChange changes parts of a [Stop].
type StopChange struct {
	Signal *Signal
	To     *StopTo
	Grace  *time.Duration
}

// RestartChange changes parts of a [Restart].
type RestartChange struct{ Delay, Max, ResetAfter *time.Duration }

// BudgetChange changes parts of a [Budget].
type BudgetChange struct {
	Memory *int64
	CPUs   *float64
	Pids   *int
}

// LogChange changes parts of a [Log].
type LogChange struct {
	MaxSize *int64
	Keep    *int
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
	if o.Ready != nil {
		d.Ready = o.Ready
	}
	if o.Live != nil {
		d.Live = o.Live
	}
	o.applyRules(&d)
	return d
}

func (o Override) applyRules(d *Definition) {
	if s := o.Stop; s != nil {
		if s.Signal != nil {
			d.Stop.Signal = s.Signal.Number
		}
		setTo(&d.Stop.To, s.To)
		setTo(&d.Stop.Grace, s.Grace)
	}
	if r := o.Restart; r != nil {
		setTo(&d.Restart.Delay, r.Delay)
		setTo(&d.Restart.Max, r.Max)
		setTo(&d.Restart.ResetAfter, r.ResetAfter)
	}
	if b := o.Budget; b != nil {
		setTo(&d.Budget.Memory, b.Memory)
		setTo(&d.Budget.CPUs, b.CPUs)
		setTo(&d.Budget.Pids, b.Pids)
	}
	if l := o.Log; l != nil {
		setTo(&d.Log.MaxSize, l.MaxSize)
		setTo(&d.Log.Keep, l.Keep)
	}
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
