package roster

import (
	"fmt"
	"slices"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// said is what one file says of a service. Names of other services are checked once everything is read.
type said struct {
	name   string
	out    services.Override
	dropIn bool
	places keys.Places // of its file
}

func (s said) path(key string) string { return "services." + s.name + key }

func (s said) at() keys.Place { return s.places[s.path("")] }

// needs are the services that it needs, each with its place.
func (s said) needs() map[string]keys.Place {
	out := map[string]keys.Place{}
	for i, name := range s.out.Needs {
		out[name] = s.places[s.path(fmt.Sprintf(".needs.%d", i))]
	}
	return out
}

// waitsForItself are the faults of a service that names itself.
func (s said) waitsForItself() (faults keys.Faults) {
	for key, list := range map[string][]string{"needs": s.out.Needs, "wants": s.out.Wants} {
		if i := slices.Index(list, s.name); i >= 0 {
			at := s.places[s.path(fmt.Sprintf(".%s.%d", key, i))]
			faults = append(faults, at.Fault("%s: a service cannot wait for itself", s.path("."+key)))
		}
	}
	return faults
}
