package services

import (
	"fmt"
	"strings"
)

// Exposed is a listener of a plan that its program cannot keep on loopback. Where the kernel cannot do it either (see [Instance.Loopback]), it is an
// error for whoever must not have one, and a warning for the others.
type Exposed struct{ Instance, Port, Address string }

func (x Exposed) Error() string {
	return fmt.Sprintf("%s listens on all interfaces with its port %s, %s: this version offers no way to bind it to loopback", x.Instance, x.Port, x.Address)
}

// Hint says how to keep others away.
func (x Exposed) Hint() string {
	return "keep others away from port " + x.Address[strings.LastIndexByte(x.Address, ':')+1:] + " with the machine's firewall, or run the appliance in a container or network namespace of its own"
}

// exposed are the listeners of one instance that can be reached from outside.
func exposed(inst Instance, e Effective) []Exposed {
	var out []Exposed
	for _, p := range e.Ports {
		if p.Bind == BindAll && inst.Wanted {
			out = append(out, Exposed{inst.Name(), p.Name, inst.Addresses[p.Name]})
		}
	}
	return out
}
