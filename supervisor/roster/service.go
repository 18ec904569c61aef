package roster

import (
	"maps"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sourcegraph/appliance/services"
)

// place is where a name of a service was written, for faults that show only once everything is read.
type place struct {
	file         string
	line, column int
}

// service reads what is said of one service: in services.d its whole definition, below services: the difference to it.
type service struct {
	*reader
	name  string
	out   services.Override
	needs map[string]place // by name of the service that is needed
	first place            // of the name itself
}

const (
	maxDuration = 24 * time.Hour
	maxPort     = 65535
	maxInstance = 1000
)

// readService reads the keys of one service. Their order is that of the documentation.
func (r *reader) service(name string, key, value *yaml.Node) *service {
	s := &service{reader: r, name: name, needs: map[string]place{}, first: place{r.file, key.Line, key.Column}}
	order := []string{"command", "args", "env", "user", "ports", "needs", "wants", "ready", "live", "stop", "restart", "replicas", "budget", "log", "disabled"}
	what := "service " + name
	r.mapping(value, what, order, map[string]field{
		"command":  func(n *yaml.Node) { s.out.Command = s.command(n) },
		"args":     func(n *yaml.Node) { s.out.Args = r.texts(n, what+" args") },
		"env":      func(n *yaml.Node) { s.out.Env = s.env(n) },
		"user":     func(n *yaml.Node) { s.user(n) },
		"ports":    func(n *yaml.Node) { s.out.Ports = s.ports(n) },
		"needs":    func(n *yaml.Node) { s.out.Needs = s.names(n, what+" needs", true) },
		"wants":    func(n *yaml.Node) { s.out.Wants = s.names(n, what+" wants", false) },
		"ready":    func(n *yaml.Node) { s.out.Ready = s.probe(n, what+" ready", true) },
		"live":     func(n *yaml.Node) { s.out.Live = s.probe(n, what+" live", false) },
		"stop":     func(n *yaml.Node) { s.out.Stop = s.stop(n) },
		"restart":  func(n *yaml.Node) { s.out.Restart = s.restart(n) },
		"replicas": func(n *yaml.Node) { s.out.Replicas = optional(r.number(n, what+" replicas", 1, maxInstance)) },
		"budget":   func(n *yaml.Node) { s.out.Budget = s.budget(n) },
		"log":      func(n *yaml.Node) { s.out.Log = s.log(n) },
		"disabled": func(n *yaml.Node) { s.out.Disabled = optional(r.boolean(n, what+" disabled")) },
	})
	return s
}

func optional[T any](value T, ok bool) *T {
	if !ok {
		return nil
	}
	return &value
}

func (s *service) what(key string) string { return "service " + s.name + " " + key }

func (s *service) command(n *yaml.Node) []string {
	words := s.texts(n, s.what("command"))
	if len(words) == 0 && n.Kind == yaml.SequenceNode {
		s.at(n, "%s is empty", s.what("command"))
		return nil
	}
	if len(words) > 0 && filepath.Base(words[0]) != words[0] && !filepath.IsAbs(words[0]) {
		s.at(n, "%s: %q must be an absolute path, or a name that is looked up", s.what("command"), words[0])
	}
	return words
}

func (s *service) env(n *yaml.Node) map[string]*string {
	out := map[string]*string{}
	s.eachKey(n, s.what("env"), func(key, value *yaml.Node) {
		if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(key.Value) {
			s.at(key, "%s: %q is no name of a variable", s.what("env"), key.Value)
			return
		}
		if isNull(value) { // takes the variable away
			out[key.Value] = nil
			return
		}
		if text, ok := s.text(value, s.what("env "+key.Value)); ok {
			out[key.Value] = &text
		}
	})
	return out
}

func (s *service) user(n *yaml.Node) {
	name, ok := s.text(n, s.what("user"))
	if ok && !regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`).MatchString(name) {
		s.at(n, "%s: %q is no name of an account; use up to 31 lower-case letters, digits, - and _", s.what("user"), name)
		return
	}
	s.out.User = name
}

func (s *service) ports(n *yaml.Node) map[string]int {
	out := map[string]int{}
	s.eachKey(n, s.what("ports"), func(key, value *yaml.Node) {
		if !regexp.MustCompile(`^[a-z][a-z0-9_]{0,30}$`).MatchString(key.Value) {
			s.at(key, "%s: %q is no name of a port; use lower-case letters, digits and _", s.what("ports"), key.Value)
			return
		}
		if number, ok := s.number(value, s.what("ports "+key.Value), 0, maxPort); ok {
			out[key.Value] = number
		}
	})
	return out
}

func (s *service) names(n *yaml.Node, what string, needed bool) []string {
	out := []string{}
	s.eachItem(n, what, func(item *yaml.Node) {
		name, ok := s.text(item, "an entry of "+what)
		switch {
		case !ok:
		case name == s.name:
			s.at(item, "%s: a service cannot wait for itself", what)
		case slices.Contains(out, name):
			s.at(item, "%s: %s is given twice", what, name)
		default:
			out = append(out, name)
			if needed {
				s.needs[name] = place{s.file, item.Line, item.Column}
			}
		}
	})
	return out
}

func (s *service) stop(n *yaml.Node) *services.StopChange {
	var out services.StopChange
	s.mapping(n, s.what("stop"), []string{"signal", "to", "grace"}, map[string]field{
		"signal": func(n *yaml.Node) {
			name, ok := s.text(n, s.what("stop signal"))
			signal, err := services.ParseSignal(name)
			if ok && err != nil {
				s.at(n, "%s: %v", s.what("stop signal"), err)
			}
			out.Signal = optional(signal, ok && err == nil)
		},
		"to": func(n *yaml.Node) {
			to, ok := s.text(n, s.what("stop to"))
			if ok && to != string(services.ToMain) && to != string(services.ToGroup) {
				s.at(n, `%s: %q is neither "main" nor "group"`, s.what("stop to"), to)
				return
			}
			out.To = optional(services.StopTo(to), ok)
		},
		"grace": func(n *yaml.Node) { out.Grace = optional(s.duration(n, s.what("stop grace"), 0, maxDuration)) },
	})
	return &out
}

func (s *service) restart(n *yaml.Node) *services.RestartChange {
	var out services.RestartChange
	read := func(key string, to **time.Duration, low time.Duration) field {
		return func(n *yaml.Node) { *to = optional(s.duration(n, s.what("restart "+key), low, maxDuration)) }
	}
	s.mapping(n, s.what("restart"), []string{"delay", "max", "reset_after"}, map[string]field{
		"delay": read("delay", &out.Delay, 0), "max": read("max", &out.Max, time.Millisecond), "reset_after": read("reset_after", &out.ResetAfter, 0),
	})
	return &out
}

func (s *service) budget(n *yaml.Node) *services.BudgetChange {
	var out services.BudgetChange
	s.mapping(n, s.what("budget"), []string{"memory", "cpus", "pids"}, map[string]field{
		"memory": func(n *yaml.Node) { out.Memory = optional(s.bytes(n, s.what("budget memory"))) },
		"cpus":   func(n *yaml.Node) { out.CPUs = optional(s.cpus(n, s.what("budget cpus"))) },
		"pids":   func(n *yaml.Node) { out.Pids = optional(s.number(n, s.what("budget pids"), 1, math.MaxInt32)) },
	})
	return &out
}

func (s *service) log(n *yaml.Node) *services.LogChange {
	var out services.LogChange
	s.mapping(n, s.what("log"), []string{"max_size", "keep"}, map[string]field{
		"max_size": func(n *yaml.Node) {
			size, ok := s.bytes(n, s.what("log max_size"))
			if ok && size < minLog {
				s.at(n, "%s: %s is less than 64KiB, the length of one line", s.what("log max_size"), n.Value)
				return
			}
			out.MaxSize = optional(size, ok)
		},
		"keep": func(n *yaml.Node) { out.Keep = optional(s.number(n, s.what("log keep"), 0, maxInstance)) },
	})
	return &out
}

const minLog = 64 << 10 // bytes; a line is cut there

// probe reads ready: or live:. Exactly one way to ask is given; log and notify tell of readiness alone.
func (s *service) probe(n *yaml.Node, what string, readiness bool) *services.Probe {
	p := services.Probe{Every: 10 * time.Second, Timeout: 5 * time.Second, Failures: 3}
	ways := map[string]field{
		"http": func(n *yaml.Node) {
			p.HTTP, _ = s.text(n, what+" http")
			if p.HTTP == "" || p.HTTP[0] != '/' {
				s.at(n, "%s http: %q must be a path that begins with /", what, p.HTTP)
			}
		},
		"tcp":  func(n *yaml.Node) { p.TCP = s.yes(n, what+" tcp") },
		"exec": func(n *yaml.Node) { p.Exec = s.texts(n, what+" exec") },
		"log": func(n *yaml.Node) {
			p.Log, _ = s.text(n, what+" log")
			if _, err := regexp.Compile(p.Log); err != nil || p.Log == "" {
				s.at(n, "%s log: %q is no regular expression", what, p.Log)
			}
		},
		"notify": func(n *yaml.Node) { p.Notify = s.yes(n, what+" notify") },
	}
	order := []string{"http", "tcp", "exec", "log", "notify"}
	if !readiness {
		delete(ways, "log")
		delete(ways, "notify")
		order = order[:3]
	}
	var given []string
	fields := map[string]field{
		"port":     func(n *yaml.Node) { p.Port, _ = s.text(n, what+" port") },
		"every":    func(n *yaml.Node) { s.positive(n, what+" every", &p.Every) },
		"timeout":  func(n *yaml.Node) { s.positive(n, what+" timeout", &p.Timeout) },
		"failures": func(n *yaml.Node) { p.Failures, _ = s.number(n, what+" failures", 1, maxInstance) },
	}
	for way, read := range maps.All(ways) {
		fields[way] = func(n *yaml.Node) { given = append(given, way); read(n) }
	}
	s.mapping(n, what, slices.Concat(order, []string{"port", "every", "timeout", "failures"}), fields)
	if n.Kind == yaml.MappingNode {
		s.checkProbe(n, what, p, given, order)
	}
	return &p
}

func (s *service) checkProbe(n *yaml.Node, what string, p services.Probe, given, order []string) {
	if len(given) != 1 {
		s.at(n, "%s must ask in exactly one way: %v", what, order)
		return
	}
	needsPort := given[0] == "http" || given[0] == "tcp"
	if needsPort && p.Port == "" {
		s.at(n, "%s: %s needs port:, the name of one of the service's ports", what, given[0])
	}
	if !needsPort && p.Port != "" {
		s.at(n, "%s: %s has no use for port:", what, given[0])
	}
	if given[0] == "exec" && len(p.Exec) == 0 {
		s.at(n, "%s exec is empty", what)
	}
}

// yes reads a key whose only meaning is true: false would say that there is no probe, which leaving it out says.
func (s *service) yes(n *yaml.Node, what string) bool {
	value, ok := s.boolean(n, what)
	if ok && !value {
		s.at(n, "%s: false; leave it out instead", what)
	}
	return true
}

func (s *service) positive(n *yaml.Node, what string, to *time.Duration) {
	if d, ok := s.duration(n, what, time.Millisecond, maxDuration); ok {
		*to = d
	}
}
