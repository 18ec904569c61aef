package roster

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Ports are the ports that this appliance has reserved among all appliances of this machine: between the look whether a port is free and the
// service's bind lie seconds in which another one would find it free as well, and then take the other's PostgreSQL for its own.
//
// A reservation is a unix socket in the abstract namespace, one for each port. That namespace is the network namespace's, as ports are; it needs
// no directory that everybody may write, holds between root and ordinary users, and ends with the process. It lasts as long as the appliance:
// a port that is free while its service restarts is not free. The nil Ports reserves nothing.
type Ports struct {
	mu   sync.Mutex
	held map[int]net.Listener
}

// NewPorts has reserved nothing yet.
func NewPorts() *Ports { return &Ports{held: map[int]net.Listener{}} }

func reservation(port int) string { return "@sourcegraph-appliance/port/" + strconv.Itoa(port) }

// Hold reserves a port; holding it already is fine. The error is [Reserved] if another appliance has it. Where there is no such namespace
// (some sandboxes), nothing is reserved and that is no error.
func (p *Ports) Hold(port int) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[port] != nil {
		return nil
	}
	ln, err := net.Listen("unix", reservation(port))
	if errors.Is(err, unix.EADDRINUSE) {
		return Reserved{Port: port, PID: reservedBy(port)}
	}
	if err == nil {
		p.held[port] = ln
	}
	return nil
}

// HoldPorts reserves the ports of a plan whose services may run already. What it returns are warnings: they cannot be moved now.
func (r *Roster) HoldPorts(ports *Ports) (warnings []string) {
	for _, inst := range r.Plan.Instances {
		for _, name := range slices.Sorted(maps.Keys(inst.Addresses)) {
			port, err := portOf(inst.Addresses[name])
			if err == nil && inst.Wanted {
				err = ports.Hold(port)
			}
			if err != nil {
				warnings = append(warnings, fmt.Sprintf("%s: its port %s, %s, %v", inst.Name(), name, inst.Addresses[name], err))
			}
		}
	}
	return warnings
}

// Release gives a port up, and all of them with none named.
func (p *Ports) Release(ports ...int) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(ports) == 0 {
		for port := range p.held {
			ports = append(ports, port)
		}
	}
	for _, port := range ports {
		if ln := p.held[port]; ln != nil {
			_ = ln.Close() // an abstract socket leaves nothing
			delete(p.held, port)
		}
	}
}

// free reserves a port that nobody listens on.
func (p *Ports) free(port int) bool {
	if p.Hold(port) != nil {
		return false
	}
	if portFree(port) {
		return true
	}
	p.Release(port)
	return false
}

// Reserved says of a port that another appliance has chosen it.
type Reserved struct{ Port, PID int } // PID is 0 if it cannot be told

func (r Reserved) Error() string {
	return "is reserved by another appliance" + ofProcess(r.PID)
}

func ofProcess(pid int) string {
	if pid == 0 {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

// reservedBy is the process that listens on a reservation: the kernel tells whoever connects.
func reservedBy(port int) (pid int) {
	conn, err := net.Dial("unix", reservation(port))
	if err != nil {
		return 0
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	err = raw.Control(func(fd uintptr) {
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(peer.Pid)
		}
	})
	if err != nil {
		return 0
	}
	return pid
}
