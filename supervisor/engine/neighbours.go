package engine

import (
	"sort"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func (m *Machine) gateOpen() bool {
	return m.wanted && !m.anyNeedHeld() && len(m.waitingFor()) == 0
}

// needsReady is false as long as a need has not been heard of.
func (m *Machine) needsReady() bool { return len(m.missing()) == 0 }

func (m *Machine) missing() (names []string) {
	for name, s := range m.needs {
		if !s.Ready {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func (m *Machine) held() (names []string) {
	for name, s := range m.needs {
		if s.Held {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func (m *Machine) anyNeedHeld() bool {
	for _, s := range m.needs {
		if s.Held {
			return true
		}
	}
	return false
}

// waitingFor is what stands before the next step: needs that are not ready and wanted neighbours that are still on their way up,
// or, for a stop, dependents that live.
func (m *Machine) waitingFor() []string {
	var names []string
	switch m.state {
	case api.Waiting:
		names = m.missing()
		for name, s := range m.wants {
			_, both := m.needs[name]
			if !both && (m.unheard[name] || s.State == api.Waiting || s.State == api.Starting) && !s.Held {
				names = append(names, name)
			}
		}
	case api.Stopping:
		if !m.ordered || m.signalled {
			return nil
		}
		for name := range m.dependents {
			if !m.gone(name) {
				names = append(names, name)
			}
		}
	}
	sort.Strings(names)
	return names
}

func (m *Machine) dependentsGone() bool {
	for name := range m.dependents {
		if !m.gone(name) {
			return false
		}
	}
	return true
}

// gone says that a dependent is held and dead. When everything ends, one that cannot be killed keeps nobody from an orderly end.
func (m *Machine) gone(name string) bool {
	s := m.dependents[name]
	return !m.unheard[name] && s.Held && (!s.Alive || m.shutdown && s.State == api.Unkillable)
}

func (m *Machine) isHeld() bool {
	return !m.wanted || m.anyNeedHeld() || (m.state == api.Stopping && m.ordered)
}

// up says that a run is on its way or there, and not on its way out.
func (m *Machine) up() bool {
	return m.state == api.Starting || m.state == api.Ready || m.state == api.Degraded
}

func (m *Machine) isReady() bool { return m.state == api.Ready }
