package roster

import (
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// Config is the effective configuration in JSON, for `config show --json`: secrets by reference only.
type Config struct {
	Product     string              `json:"product"`
	Release     string              `json:"release"`
	Site        Site                `json:"site"`
	Services    []services.Instance `json:"services"`
	Environment map[string][]string `json:"environment"` // variables of the appliance's own environment, each with the services that know it; what files say wins
	Warnings    []string            `json:"warnings"`
}

// Config returns the configuration in force.
func (r *Roster) Config() Config {
	environment := map[string][]string{}
	for _, service := range slices.Sorted(maps.Keys(r.surround.Overrides)) {
		for name := range r.surround.Overrides[service].Env {
			environment[name] = append(environment[name], service)
		}
	}
	return Config{r.Plan.Product, r.Plan.Release, r.Site, r.Plan.Instances, environment, append([]string{}, r.Warnings...)}
}

// Bare is everything that is in force in the form of appliance.yaml, every service with every key; secrets are in it by reference. As the
// site's file it gives the same plan. It is for a roster that [Load] returned.
func (r *Roster) Bare() Site {
	site := r.Site
	site.Services = map[string]services.Override{}
	for _, e := range r.effective {
		site.Services[e.Name] = services.Bare(e, r.portsOf(e.Name))
	}
	return site
}

// YAML writes [Roster.Bare] as people write it, for these services alone when there are some. What comes from the environment has a comment.
func (r *Roster) YAML(only ...string) ([]byte, error) {
	site := r.Bare()
	if len(only) > 0 {
		all := site.Services
		site = Site{Services: map[string]services.Override{}}
		for _, name := range only {
			site.Services[name] = all[name]
		}
	}
	var n yaml.Node
	if err := n.Encode(site); err != nil {
		return nil, err
	}
	for service, o := range r.surround.Overrides {
		for name := range o.Env {
			if value := nodeAt(&n, []string{"services", service, "env", name}); value != nil && r.fromEnvironment(service, name) {
				value.LineComment = "from the environment"
			}
		}
	}
	return yaml.Marshal(&n)
}

func (r *Roster) portsOf(service string) map[string]int {
	out := map[string]int{}
	for _, inst := range r.Plan.Instances {
		if inst.Service != service || inst.Number != 0 {
			continue
		}
		for name, address := range inst.Addresses {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				continue // not reached: we wrote it
			}
			if number, err := strconv.Atoi(port); err == nil {
				out[name] = number
			}
		}
	}
	return out
}

// Definitions returns the services of a version of a product with what the site says of them, and the site's own; it needs no release and writes nothing.
func Definitions(configFile, product, version string) ([]services.Effective, error) {
	c, err := readConfig(configFile)
	if err != nil {
		return nil, err
	}
	s, err := c.selection(product, version)
	if err != nil {
		return nil, err
	}
	return s.Effective()
}

// Differing names the keys of the appliance as a whole that two sites do not agree on; those of services show in the plan.
func Differing(a, b Site) (out []string) {
	for _, k := range keys.List(Site{}) {
		if strings.HasPrefix(k.Path, "services.") || k.Group {
			continue
		}
		path, _, _ := strings.Cut(k.Path, ".<")
		words := strings.Split(path, ".")
		was, errWas := valueAt(a, words)
		is, errIs := valueAt(b, words)
		if was != is || errWas != nil || errIs != nil {
			out = append(out, path)
		}
	}
	return out
}
