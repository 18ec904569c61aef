package services

import (
	"slices"
	"strings"
)

// All returns the built-in definitions in the order of the graph, each as it is without a version.
func All() []Definition {
	all := []Definition{postgres(), redisCache(), redisStore(), migrator(), frontend(), gitserver(), searcher(), worker()}
	all = append(all, thirdParties()...)
	for i := range all {
		all[i].Origin = BuiltIn
	}
	return all
}

// BuiltIn is the [Definition.Origin] of what this package defines.
const BuiltIn = "built in"

// Of returns the definitions that a version of a product carries, with what is different in that version.
func Of(product, version string) []Definition {
	var out []Definition
	for _, d := range All() {
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

// In reports whether this version of this product carries the service.
func (d Definition) In(product, version string) bool {
	return slices.ContainsFunc(d.Releases, func(r Releases) bool { return r.Contains(product, version) })
}

// At returns the definition as it is in one version.
func (d Definition) At(product, version string) Definition {
	for _, v := range d.Variants {
		if !slices.ContainsFunc(v.In, func(r Releases) bool { return r.Contains(product, version) }) {
			continue
		}
		d = v.Change.apply(d)
		set(&d.Log.Format, v.LogFormat)
		for i := range d.Ports {
			d.Ports[i].Fixed = d.Ports[i].Fixed || slices.Contains(v.Fixed, d.Ports[i].Name)
		}
	}
	d.Variants = nil
	return d
}

// DefaultUser is the account that a service of this name runs as when its definition names none.
func DefaultUser(name string) string {
	user := "sg-" + strings.ToLower(name)
	return user[:min(len(user), 31)]
}
