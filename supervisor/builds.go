package supervisor

import (
	"slices"

	"github.com/sourcegraph/appliance/services"
)

// takeBuilds lets the next run of these instances be of the engineer's own build as it is now. Nothing else of the configuration is read.
func (s *Supervisor) takeBuilds(chosen []string) error {
	if len(s.opts.Roster.Overrides) == 0 {
		return nil
	}
	s.opLock.Lock()
	defer s.opLock.Unlock()
	now := s.rosterNow()
	var names []string
	for _, inst := range now.Plan.Instances {
		if slices.Contains(chosen, inst.Name()) {
			names = append(names, inst.Service)
		}
	}
	next, err := now.Rebuild(s.opts.Roster, names)
	if err != nil {
		return asAPIError(err)
	}
	if next == now {
		return nil
	}
	if err := s.keepAccepted(next); err != nil {
		return err
	}
	s.mu.Lock()
	s.roster = next
	s.mu.Unlock()
	s.replace(slices.DeleteFunc(slices.Clone(next.Plan.Instances), func(inst services.Instance) bool { return !slices.Contains(names, inst.Service) }))
	return nil
}
