package services

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Program is the executable behind a command's first word.
type Program struct {
	Path   string // absolute
	Source string // "release", "host" or "override"
	Beside string // where the programs that come with it lie, when that is not where it lies itself
	Build  string // digest of an engineer's own build, whose path stays the same
}

// Dirs are where a plan's files lie.
type Dirs struct {
	Data    string  // absolute
	Run     string  // absolute
	Storage Storage // of what does not lie in Data
}

// Input is everything a plan is made from.
type Input struct {
	Selection
	Release    string             // <version>-<digest>, or "none"
	Programs   map[string]Program // by service; a command with an absolute path needs none
	Addresses  map[string]string  // "gitserver/0.http" -> "127.0.0.1:3178", for all that AddressKeys names
	Appliance  string             // host:port of the appliance's own metrics; empty: on the admin socket only
	Secrets    []string           // names beside the generated ones
	Dirs       Dirs
	Generation int    // of the data, from 1
	Path       string // PATH of the services, after the release's own bin directories
	Bin        string // the release's bin directory; empty for none

	secretRefs map[string]string // by name; made by Build
}

const loopback = "127.0.0.1"

// direct is what is never reached through a proxy. It is all of the plan: every address that a service is told is on loopback, none is a name.
const direct = "127.0.0.1,localhost,::1"

// homeData is the data directory that is a service's HOME, when its definition has one of that name.
const homeData = "home"

// AddressKey is the name of a port of an instance in [Input.Addresses].
func AddressKey(service string, number int, port string) string {
	return service + "/" + strconv.Itoa(number) + "." + port
}

// Build makes the plan. It reads and writes nothing; the same input gives the same plan. All faults are in the error.
func Build(in Input) (Plan, error) {
	list, err := in.Effective()
	if err != nil {
		return Plan{}, err
	}
	in.secretRefs = refs(in.Secrets)
	plan := Plan{Product: in.Product, Version: in.Version, Release: in.Release}
	var faults []error
	for _, e := range list {
		for n := range e.Count {
			inst, err := in.instance(list, e, n)
			faults = append(faults, err)
			plan.Instances = append(plan.Instances, inst)
			plan.Exposed = append(plan.Exposed, exposed(inst, e)...)
		}
	}
	faults = append(faults, checkAddresses(plan)...)
	if err := errors.Join(faults...); err != nil {
		return Plan{}, err
	}
	plan.Hash = hash(plan.Instances)
	return plan, nil
}

func (in Input) instance(list []Effective, e Effective, n int) (Instance, error) {
	inst := Instance{
		Service: e.Name, Number: n, Replicas: e.Count, Kind: e.Kind, Wanted: !e.Disabled, Loss: e.Loss, Origin: e.Origin,
		Addresses: map[string]string{}, Loopback: e.Origin == BuiltIn, User: e.User, Caps: e.Caps,
		Ready: clone(e.Ready), Live: clone(e.Live), Start: e.Start, Stop: e.Stop, Restart: e.Restart, Log: e.Log, Budget: e.Budget, Metrics: e.Metrics,
		Needs: instances(list, e.Needs), Wants: instances(list, e.Wants),
	}
	if inst.User == "" {
		inst.User = DefaultUser(e.Name)
	}
	inst.RunDir = filepath.Join(in.Dirs.Run, "services", e.Name, strconv.Itoa(n))
	if err := in.program(&inst, e); err != nil {
		return inst, err
	}
	scope, err := in.scope(list, e, &inst)
	if err != nil {
		return inst, err
	}
	if err := render(scope, e, &inst, in.env(list, e)); err != nil {
		return inst, err
	}
	inst.Hash = hashRun(inst)
	return inst, nil
}

// program resolves the command's first word, which may be absolute.
func (in Input) program(inst *Instance, e Effective) error {
	if e.Kind == KindExternal {
		return nil
	}
	if len(e.Command) == 0 {
		return fmt.Errorf("%s has no command", e.Name)
	}
	p, ok := in.Programs[e.Name]
	switch {
	case ok:
		inst.Program, inst.Source, inst.Build = p.Path, p.Source, p.Build
	case filepath.IsAbs(e.Command[0]):
		inst.Program, inst.Source = filepath.Clean(e.Command[0]), "override"
	case e.Disabled: // nobody looks for the program of what does not run
		return nil
	default:
		return fmt.Errorf("%s: there is no program %q", e.Name, e.Command[0])
	}
	return nil
}

func (in Input) scope(list []Effective, e Effective, inst *Instance) (Scope, error) {
	s := Scope{
		Service: e.Name, Number: inst.Number, Replicas: inst.Replicas, Product: in.Product, Version: in.Version, Generation: max(1, in.Generation),
		Address: map[string]string{}, Port: map[string]string{}, Data: map[string]string{}, Secret: in.secretRefs,
		Run: inst.RunDir, bin: cmp.Or(in.Programs[e.Name].Beside, filepath.Dir(inst.Program)),
		peers: func(service, port string) []string { return in.peers(list, service, port) },
		running: func(service string) bool {
			return slices.ContainsFunc(list, func(e Effective) bool { return e.Name == service && !e.Disabled })
		},
		scrapes:            func() []Scrape { return in.scrapes(list) },
		servicePortUnknown: func(service, port string) error { return unknownPeer(list, service, port) },
		debugServices:      func() string { return in.debugServices(list) },
	}
	inst.Addresses = e.addressesElsewhere()
	for _, p := range e.Ports {
		address, ok := in.Addresses[AddressKey(e.Name, inst.Number, p.Name)]
		if !ok {
			return s, fmt.Errorf("%s: port %s has no address", inst.Name(), p.Name)
		}
		inst.Addresses[p.Name], s.Address[p.Name] = address, address
		s.Port[p.Name] = address[strings.LastIndexByte(address, ':')+1:]
	}
	for _, d := range withHome(e.Definition) {
		path, err := s.render("data "+d.Name, d.Path)
		if err != nil {
			return s, err
		}
		d.Below = path
		d.Path, _ = in.Dirs.Storage.Place(in.Dirs.Data, path, inst.Number)
		s.Data[d.Name] = d.Path
		inst.Data = append(inst.Data, d)
	}
	s.Home = s.Data[homeData]
	inst.Dir = s.Home
	return s, nil
}

// withHome adds a HOME of its own to a service that does not define one. What the site's own service keeps there is its state as far as we know.
func withHome(d Definition) []Data {
	if d.Kind == KindExternal || slices.ContainsFunc(d.Data, func(x Data) bool { return x.Name == homeData }) {
		return d.Data
	}
	class := DataNone
	if d.Origin != BuiltIn {
		class = DataState
	}
	return append(slices.Clone(d.Data), Data{Name: homeData, Path: "shared/home/" + d.Name + "/{{ .Number }}", Class: class})
}

func (in Input) peers(list []Effective, service, port string) []string {
	var out []string
	for _, e := range list {
		if e.Name != service || !slices.ContainsFunc(e.Ports, func(p Port) bool { return p.Name == port }) {
			continue
		}
		for n := range e.Count {
			if address, ok := in.Addresses[AddressKey(service, n, port)]; ok {
				out = append(out, address)
			}
		}
	}
	return out
}

// debugServices is SRC_PROF_SERVICES: what a debug port serves, and zoekt's own pages.
func (in Input) debugServices(list []Effective) string {
	type service struct{ Name, Host, DefaultPath string }
	out := []service{}
	for _, e := range list {
		if e.Disabled || e.Metrics == nil || e.Metrics.Port != "debug" && e.User != zoektUser {
			continue
		}
		path := ""
		if e.Name == "zoekt-webserver" {
			path = "/debug/requests/"
		}
		for n, address := range in.peers(list, e.Name, e.Metrics.Port) {
			out = append(out, service{Instance{Service: e.Name, Number: n, Replicas: e.Count}.Name(), address, path})
		}
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic("services: names and addresses are plain data: " + err.Error())
	}
	return string(text)
}

func unknownPeer(list []Effective, service, port string) error {
	for _, e := range list {
		if e.Name == service {
			return fmt.Errorf("%s has no port %q", service, port)
		}
	}
	return fmt.Errorf("there is no service %q", service)
}

// instances turns names of services into names of their instances; a service that is not there has none.
func instances(list []Effective, names []string) []string {
	out := []string{}
	for _, name := range names {
		for _, e := range list {
			if e.Name != name {
				continue
			}
			for n := range e.Count {
				out = append(out, Instance{Service: name, Number: n, Replicas: e.Count}.Name())
			}
		}
	}
	return out
}

// env is what every service gets, before its own. Nothing of the supervisor's environment is passed on.
func (in Input) env(list []Effective, e Effective) map[string]string {
	path := in.Path
	if dir := in.releaseBin(e); dir != "" {
		path = dir + ":" + path
	}
	env := commonEnv()
	env["PATH"] = strings.Trim(path, ":")
	for _, k := range e.Demand.Knobs {
		if value := k.value(e.Budget); k.Auto && value != "" {
			env[k.Name] = value
		}
	}
	maps.Copy(env, e.Env)
	for _, other := range list {
		if !other.Disabled {
			maps.Copy(env, e.Beside[other.Name])
		}
	}
	for _, name := range e.Unset {
		delete(env, name)
	}
	return env
}

// commonEnv is what every service gets, beside its PATH.
func commonEnv() map[string]string {
	return map[string]string{
		"HOME":     "{{ .Home }}",
		"LANG":     "C.UTF-8",
		"NO_PROXY": direct, // a proxy for internal traffic breaks it
		"TZ":       "UTC",  // sessions of PostgreSQL must be UTC
	}
}

// releaseBin is where the release's helpers lie: beside the service's own program, and there still when the site names another in its place.
func (in Input) releaseBin(e Effective) string {
	p, ok := in.Programs[e.Name]
	switch {
	case ok && p.Source == "release":
		return filepath.Dir(p.Path)
	case ok && p.Source == "override":
		return cmp.Or(p.Beside, in.Bin)
	case !ok && len(e.Releases) > 0 && len(e.Command) > 0 && filepath.IsAbs(e.Command[0]):
		return in.Bin
	}
	return ""
}

func pointer(s string) *string { return &s }

func pointers(env map[string]string) map[string]*string {
	out := make(map[string]*string, len(env))
	for name, value := range env {
		out[name] = &value
	}
	return out
}

// checkAddresses refuses two instances at one address.
func checkAddresses(p Plan) []error {
	var faults []error
	owner := map[string]string{}
	for _, inst := range p.Instances {
		if inst.Kind == KindExternal { // two may be one server
			continue
		}
		for _, port := range slices.Sorted(maps.Keys(inst.Addresses)) {
			address, name := inst.Addresses[port], inst.Name()+"."+port
			if other, taken := owner[address]; taken {
				faults = append(faults, fmt.Errorf("%s and %s have the same address %s", other, name, address))
			}
			owner[address] = name
		}
	}
	return faults
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}
