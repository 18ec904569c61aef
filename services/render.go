package services

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// render fills in everything of the instance that has templates.
func render(s Scope, e Effective, inst *Instance, env map[string]string) error {
	for _, step := range []func(Scope, Effective, *Instance) error{renderArgv, renderPrepare, renderFiles, renderProbes} {
		if err := step(s, e, inst); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		value, err := s.render("env "+name, env[name])
		if err != nil {
			return err
		}
		inst.Env = append(inst.Env, name+"="+value)
	}
	return nil
}

func renderArgv(s Scope, e Effective, inst *Instance) (err error) {
	if inst.Argv, err = s.command("command", e.Command); err != nil {
		return err
	}
	if inst.Program != "" {
		inst.Argv[0] = inst.Program
	}
	return nil
}

// command renders a command line, where everybody on the machine could read a secret.
func (s Scope) command(what string, words []string) ([]string, error) {
	out, err := s.renderAll(what, words)
	for _, word := range out {
		if secretPattern.MatchString(word) {
			return nil, fmt.Errorf("%s: %s: a secret on a command line can be read by everybody on this machine; pass it in env", s.Service, what)
		}
	}
	return out, err
}

func renderPrepare(s Scope, e Effective, inst *Instance) error {
	for _, p := range e.Prepare {
		var err error
		if p.Creates, err = s.render("prepare", p.Creates); err != nil {
			return err
		}
		inner := s
		inner.New = p.New()
		steps := p.Steps
		p.Steps = nil
		for _, step := range steps {
			command, err := inner.command("prepare", step.Command)
			if err != nil {
				return err
			}
			stdin, err := inner.render("prepare", step.Stdin)
			if err != nil {
				return err
			}
			p.Steps = append(p.Steps, Step{command, stdin})
		}
		inst.Prepare = append(inst.Prepare, p)
	}
	return nil
}

// New is the directory that Steps write and that becomes Creates.
func (p Prepare) New() string { return p.Creates + ".new" }

func renderFiles(s Scope, e Effective, inst *Instance) error {
	for _, f := range e.Files {
		var err error
		if f.Path, err = s.render("file", f.Path); err != nil {
			return err
		}
		if f.Content, err = s.render("file "+f.Path, f.Content); err != nil {
			return err
		}
		inst.Files = append(inst.Files, f)
	}
	return nil
}

func renderProbes(s Scope, e Effective, inst *Instance) error {
	if err := renderProbe(s, e, "ready", inst.Ready); err != nil {
		return err
	}
	return renderProbe(s, e, "live", inst.Live)
}

func renderProbe(s Scope, e Effective, what string, p *Probe) (err error) {
	if p == nil {
		return nil
	}
	if err := checkProbePort(what, e, *p); err != nil {
		return err
	}
	p.Exec, err = s.command(what, p.Exec)
	return err
}

// checkProbePort refuses a probe of a port that the service does not have.
func checkProbePort(what string, e Effective, p Probe) error {
	if p.HTTP == "" && !p.TCP && !p.Postgres && !p.Redis {
		return nil
	}
	if !slices.ContainsFunc(e.Ports, func(x Port) bool { return x.Name == p.Port }) {
		return fmt.Errorf("%s: %s.port: there is no port %q; there are: %s", e.Name, what, p.Port, strings.Join(portNames(e.Ports), ", "))
	}
	return nil
}

func portNames(ports []Port) []string {
	var names []string
	for _, p := range ports {
		names = append(names, p.Name)
	}
	return names
}

// hash is short enough to show and long enough never to collide by chance.
func hash(v any) string {
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode(v); err != nil {
		panic("services: a plan is plain data: " + err.Error()) // no field can refuse to be encoded
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// hashRun covers what a running process was started with: another hash means that a restart is needed.
func hashRun(inst Instance) string {
	what := Instance{
		Service: inst.Service, Number: inst.Number, Program: inst.Program, Build: inst.Build, Argv: inst.Argv, Env: inst.Env, Dir: inst.Dir, RunDir: inst.RunDir,
		Addresses: inst.Addresses, Files: inst.Files, Data: inst.Data, User: inst.User, Caps: inst.Caps, Budget: inst.Budget,
	}
	if inst.Kind == KindExternal { // what it is asked is all there is of it
		what.Ready = inst.Ready
	}
	return hash(what)
}
