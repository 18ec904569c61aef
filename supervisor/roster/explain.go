package roster

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// Explanation is the answer of `config explain`.
type Explanation struct {
	Key      string `json:"key"`
	Value    string `json:"value"`  // as in YAML; empty if nothing is said and nothing holds
	Origin   string `json:"origin"` // built in, with the reason of a difference; environment, the appliance's own; or FILE:LINE
	May      string `json:"may_be"`
	Doc      string `json:"doc"`
	Changing string `json:"changing"`
	Flag     string `json:"flag,omitempty"` // and
	Env      string `json:"env,omitempty"`  // win over the file
}

// Explain says of one key what is in force, where it comes from and what it may be. A path that begins with a service's name is meant below services,
// unless it is a key as it stands: postgres is the name of both.
func (r *Roster) Explain(path string) (Explanation, error) {
	first, _, _ := strings.Cut(path, ".")
	if whole, _ := keys.Find(Site{}, path); whole.Path == "" && slices.ContainsFunc(r.effective, func(e services.Effective) bool { return e.Name == first }) {
		path = "services." + path
	}
	k, near := keys.Find(Site{}, path)
	if k.Path == "" {
		remedy := "all keys are in the reference, or: sourcegraph config schema"
		if near != "" {
			remedy = "did you mean " + near + "?"
		}
		return Explanation{}, invalid(fmt.Errorf("there is no key %q", path), remedy)
	}
	words := strings.Split(path, ".")
	if len(words) > 1 && words[0] == "services" && !slices.ContainsFunc(r.effective, func(e services.Effective) bool { return e.Name == words[1] }) {
		return Explanation{}, invalid(fmt.Errorf("services.%s: %s", words[1], missing(words[1], effectiveNames(r.effective))), "see: sourcegraph services list")
	}
	value, err := valueAt(r.Bare(), words)
	if err != nil {
		return Explanation{}, err
	}
	out := Explanation{Key: path, Value: value, Origin: r.origin(path, words), May: k.May, Doc: k.Doc, Changing: k.Changing, Flag: k.Flag, Env: k.Env}
	if k.Null != "" {
		out.May += ", or null: " + k.Null
	}
	if value == "" && k.Default != "" {
		out.Value, out.Origin = k.Default, "built-in default"
	}
	return out, nil
}

// origin is the place of the key, or of the mapping that it is in when that replaces a whole one; else the definition.
func (r *Roster) origin(path string, words []string) string {
	for at := path; at != ""; {
		if place, ok := r.places[at]; ok && (at == path || replaces(at)) {
			return fmt.Sprintf("%s:%d", place.File, place.Line)
		}
		i := strings.LastIndexByte(at, '.')
		at = at[:max(i, 0)]
	}
	if len(words) < 3 || words[0] != "services" {
		return "built-in default"
	}
	if len(words) == 4 && words[2] == "env" && r.fromEnvironment(words[1], words[3]) {
		return "environment"
	}
	for _, e := range r.effective {
		if e.Name == words[1] && e.Origin != services.BuiltIn {
			return "built-in default for a service of the site's own, " + e.Origin
		}
	}
	return "built in" + r.variant(words)
}

// fromEnvironment says whether a variable of a service has the value that the appliance's own environment gives it.
func (r *Roster) fromEnvironment(service, variable string) bool {
	_, said := r.places["services."+service+".env."+variable]
	return !said && r.surround.Overrides[service].Env[variable] != nil
}

// replaces says whether a mapping is taken whole: what it does not say has its own default, not the definition's.
func replaces(path string) bool {
	words := strings.Split(path, ".")
	return len(words) == 3 && slices.Contains([]string{"ready", "live", "metrics"}, words[2])
}

// variant names the range of versions whose difference gives the value.
func (r *Roster) variant(words []string) (why string) {
	for _, d := range services.All() {
		if d.Name != words[1] {
			continue
		}
		for _, v := range d.Variants {
			applies := slices.ContainsFunc(v.In, func(in services.Releases) bool { return in.Contains(r.Plan.Product, r.Plan.Version) })
			value, err := valueAt(v.Change, words[2:])
			if applies && err == nil && value != "" {
				why = fmt.Sprintf(" for %s: %s", v.In[0], v.Why)
			}
		}
	}
	return why
}

// valueAt is the YAML of what a path leads to; empty if it leads nowhere.
func valueAt(value any, words []string) (string, error) {
	var n yaml.Node
	if err := n.Encode(value); err != nil {
		return "", fmt.Errorf("write the configuration: %w", err)
	}
	at := nodeAt(&n, words)
	if at == nil {
		return "", nil
	}
	text, err := yaml.Marshal(at)
	return strings.TrimSpace(string(text)), err
}

// nodeAt follows a path through mappings; nil if it leads nowhere.
func nodeAt(at *yaml.Node, words []string) *yaml.Node {
	for _, word := range words {
		next := (*yaml.Node)(nil)
		for i := 0; i+1 < len(at.Content) && at.Kind == yaml.MappingNode; i += 2 {
			if at.Content[i].Value == word {
				next = at.Content[i+1]
			}
		}
		if next == nil {
			return nil
		}
		at = next
	}
	return at
}

func effectiveNames(list []services.Effective) (names []string) {
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names
}

// Complete returns the paths that begin as typed, one step further.
func Complete(typed string, known []string) (out []string) {
	for _, k := range keys.List(Site{}) {
		paths := []string{k.Path}
		if strings.Contains(k.Path, "<name>") {
			paths = nil
			for _, name := range known {
				paths = append(paths, strings.Replace(k.Path, "<name>", name, 1))
			}
		}
		for _, path := range paths {
			if before, _, open := strings.Cut(path, "<"); open {
				path = before
			}
			if strings.HasPrefix(path, typed) {
				out = append(out, path)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
