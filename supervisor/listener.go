package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/process"
	"github.com/sourcegraph/appliance/supervisor/roster"
)

// stranger is whoever answers in the place of a service.
type stranger struct{ what string }

func (s *stranger) Error() string { return s.what }

// errUnseen says that the kernel shows us no listener, or does not show whose it is.
var errUnseen = errors.New("the kernel does not show who listens")

// checkListener proves that what answers on a probe's port is the run itself: a stranger that took the port first answers as well as ours would.
// The error is a [stranger], or errUnseen if it cannot be told.
func (h *Host) checkListener(l *life, p services.Probe) error {
	address, asked := l.inst.Addresses[p.Port]
	if !asked || l.inst.Kind == services.KindExternal {
		return nil
	}
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil // the probe itself has said so
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return nil
	}
	sockets, err := roster.Listeners(port)
	if err != nil || len(sockets) == 0 {
		return errUnseen
	}
	hidden := false
	for _, pids := range []func(*life) []int{mainOf, othersOf} { // the main process is the listener as a rule
		for _, pid := range pids(l) {
			holds, err := h.holds(l, pid, sockets)
			if holds {
				return nil
			}
			hidden = hidden || err != nil
		}
	}
	return h.strangerAt(l, address, port, sockets, hidden)
}

// strangerAt judges a listener that no process of the run is seen to hold. hidden says that one of them did not show what it holds: then it
// is the user that tells, as far as services have users of their own.
func (h *Host) strangerAt(l *life, address string, port int, sockets []roster.Listener, hidden bool) error {
	uid := h.uidOf(l.inst)
	if hidden && slices.ContainsFunc(sockets, func(s roster.Listener) bool { return s.UID == uid }) {
		return errUnseen
	}
	who := fmt.Sprintf("a process of uid %d", sockets[0].UID)
	if pid, cmd, err := roster.PortHolder(port); err == nil && pid != 0 {
		if descends(pid, l) {
			return nil // in a cgroup of its own making
		}
		who = fmt.Sprintf("process %d (%s)", pid, cmd)
	}
	return &stranger{fmt.Sprintf("%s is answered by %s, which is none of %s's", address, who, l.inst.Name())}
}

func mainOf(l *life) (pids []int) {
	if p := l.process(); p != nil {
		pids = append(pids, p.PID())
	}
	return pids
}

// othersOf are all processes of a run's cgroup; without one, what descends from its main process.
func othersOf(l *life) (pids []int) {
	if l.group != nil {
		pids, _ = l.group.Pids() // an unreadable group shows nobody
		return pids
	}
	p := l.process()
	table, err := process.Scan()
	if p == nil || err != nil {
		return nil
	}
	for _, below := range table.Descendants(p.PID()) {
		pids = append(pids, below.PID)
	}
	return pids
}

// descends walks from a process up to the main process of a run.
func descends(pid int, l *life) bool {
	p := l.process()
	for range 64 {
		if p == nil || pid <= 1 {
			return false
		}
		if pid == p.PID() {
			return true
		}
		pid = parentOf(pid)
	}
	return false
}

// parentOf is 0 for a process that is gone.
func parentOf(pid int) (parent int) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(status), "\nPPid:")
	_, _ = fmt.Sscan(after, &parent) // 0 without such a line
	return parent
}

// holds looks with our own eyes, and if they are not allowed to, with those of the service's user: root without CAP_SYS_PTRACE, as in a
// container, may not read the descriptors of others.
func (h *Host) holds(l *life, pid int, sockets []roster.Listener) (bool, error) {
	holds, err := roster.Holds(pid, sockets)
	if !errors.Is(err, fs.ErrPermission) || !h.separate {
		return holds, err
	}
	acc, err := h.account(l.inst)
	if err != nil || acc.uid == process.NoChange {
		return false, err
	}
	type answer struct {
		holds bool
		err   error
	}
	looked := make(chan answer)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its user
		if err := errors.Join(unix.Setfsgid(acc.gid), unix.Setfsuid(acc.uid)); err != nil {
			looked <- answer{false, err}
			return
		}
		holds, err := roster.Holds(pid, sockets)
		looked <- answer{holds, err}
	}()
	a := <-looked
	return a.holds, a.err
}
