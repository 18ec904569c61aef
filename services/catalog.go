package services

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// All returns the built-in definitions in the order of the graph, each as it is without a version. What they refer to is shared by all
// callers: a change of one is made to a copy.
func All() []Definition { return slices.Clone(builtIn()) }

// builtIn are made once: that takes a third of a millisecond, and a plan, a drop-in and a key each ask.
var builtIn = sync.OnceValue(define)

func define() []Definition {
	all := []Definition{
		postgres(), redisCache(), redisStore(), migrator(), frontend(), gitserver(), githubProxy(), repoUpdater(), searcher(), symbols(),
		zoektWebserver(), zoektIndexserver(), syntaxHighlighter(), worker(), preciseCodeIntelWorker(), syntacticCodeIntelWorker(), embeddings(),
	}
	all = append(all, thirdParties()...)
	for i := range all {
		all[i].Origin = BuiltIn
	}
	return all
}

// BuiltIn is the [Definition.Origin] of what this package defines.
const BuiltIn = "built in"

// Registry is a list of built-in definitions.
type Registry []Definition

// Of returns the definitions of [All] that a version of a product carries, with what is different in that version.
func Of(product, version string) []Definition { return Registry(All()).Of(product, version) }

// Of returns the definitions that a version of a product carries, with what is different in that version.
func (r Registry) Of(product, version string) []Definition {
	out := make([]Definition, 0, len(r))
	for _, d := range r {
		if d.In(product, version) {
			out = append(out, d.At(product, version))
		}
	}
	return out
}

// Products names the products that have definitions.
func Products() []string {
	var out []string
	for _, d := range All() {
		for _, r := range d.Releases {
			out = append(out, r.Product)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// IsBuiltIn reports whether this package defines a service of that name, in whatever version.
func IsBuiltIn(name string) bool { return builtInNames()[name] }

// builtInNames are found once: every drop-in asks.
var builtInNames = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{}
	for _, d := range All() {
		known[d.Name] = true
	}
	return known
})

// In reports whether this version of this product carries the service.
func (d Definition) In(product, version string) bool {
	return slices.ContainsFunc(d.Releases, func(r Releases) bool { return r.Contains(product, version) })
}

// At returns the definition as it is in one version.
func (d Definition) At(product, version string) Definition {
	for _, v := range d.Variants {
		if slices.ContainsFunc(v.In, func(r Releases) bool { return r.Contains(product, version) }) {
			d = v.apply(d)
		}
	}
	d.Demand.Knobs = slices.DeleteFunc(slices.Clone(d.Demand.Knobs), func(k Knob) bool {
		return k.In != nil && !slices.ContainsFunc(k.In, func(r Releases) bool { return r.Contains(product, version) })
	})
	d.Outbound = slices.DeleteFunc(slices.Clone(d.Outbound), func(to Destination) bool {
		return to.In != nil && !slices.ContainsFunc(to.In, func(r Releases) bool { return r.Contains(product, version) })
	})
	if slices.ContainsFunc(d.Ports, func(p Port) bool { return p.Fixed }) {
		d.Replicas.Max = 1
	}
	d.Variants = nil
	return d
}

// apply returns the definition with the difference made; d and what it refers to stay untouched.
func (v Variant) apply(d Definition) Definition {
	beside := d.Beside // what a version is given beside another service stands over its Env
	if v.Beside != nil {
		beside = beside.with(v.Beside)
	}
	d = v.Change.apply(d)
	d.Beside = beside
	if v.Ports != nil {
		d.Ports = slices.Clone(d.Ports)
	}
	for _, p := range v.Ports {
		if i := slices.IndexFunc(d.Ports, func(old Port) bool { return old.Name == p.Name }); i >= 0 {
			d.Ports[i] = p
		} else {
			d.Ports = append(d.Ports, p)
		}
	}
	set(&d.Loss, v.Loss)
	setTo(&d.Optional, v.Optional)
	set(&d.Log.Format, v.LogFormat)
	return d
}

// with returns both; what more says wins.
func (b Beside) with(more Beside) Beside {
	out := Beside{}
	for _, from := range []Beside{b, more} {
		for service, env := range from {
			out[service] = mergeEnv(out[service], pointers(env))
		}
	}
	return out
}

// without returns it without the variables of these names.
func (b Beside) without(names map[string]*string) Beside {
	out := Beside{}
	for service, env := range b {
		env = maps.Clone(env)
		maps.DeleteFunc(env, func(name, _ string) bool { _, said := names[name]; return said })
		out[service] = env
	}
	return out
}

// DefaultUser is the account that a service of this name runs as when its definition names none.
func DefaultUser(name string) string {
	user := "sg-" + strings.ToLower(name)
	return user[:min(len(user), 31)]
}
