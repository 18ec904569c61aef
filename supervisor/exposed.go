package supervisor

import (
	"errors"
	"fmt"

	"github.com/sourcegraph/appliance/limits/cgroup"
	"github.com/sourcegraph/appliance/supervisor/roster"
)

// admitExposed decides on listeners that their programs cannot keep on loopback: where the kernel does it, all is well. Where it cannot, a host must
// not run them unless the site allows it, since others could reach what has no password. In the image, whose network is its own, and once services
// run, it is said: why is for the grade.
func (s *Supervisor) admitExposed(r *roster.Roster, running bool) (why string, err error) {
	exposed := r.Plan.Exposed
	if len(exposed) == 0 {
		return "", nil
	}
	cannot := s.host.tree.CanKeepOnLoopback()
	if cannot == nil {
		return "", nil
	}
	if s.opts.Image || r.Site.AllowExposed || running {
		for _, x := range exposed {
			s.log.Warn(x.Error(), "remedy", x.Hint())
		}
		return fmt.Sprintf("%d listeners can be reached from other machines if the network lets them through: %v", len(exposed), cannot), nil
	}
	var faults []error
	for _, x := range exposed {
		faults = append(faults, x)
	}
	return "", &roster.Refusal{
		Code: roster.CodeInvalid, Err: fmt.Errorf("%w; and the kernel cannot do it for them: %w", errors.Join(faults...), cannot),
		Remedy: "run as root with cgroups, or in a container; or keep others away with a firewall and set allow_exposed_ports: true",
	}
}

// keepOnLoopback asks the kernel to; that it cannot was weighed before: see admitExposed.
func (h *Host) keepOnLoopback(u *unit, group *cgroup.Group) {
	if err := group.KeepOnLoopback(); err != nil {
		h.log.Debug("loopback", "service", u.name, "err", err)
	}
}
