package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/supervisor/door"
	"github.com/sourcegraph/appliance/supervisor/roster"
	"github.com/sourcegraph/appliance/supervisor/stage0"
)

// listenerName is what stage 0 and the door call a listener.
func listenerName(address string) string { return "listen/" + address }

// listen makes the door listen exactly where the site wants it: on what it has already, on what stage 0 holds, else on new sockets. If one
// cannot be had, all stays as it was. What the site does not want any more is let go of.
func (d *frontDoor) listen(want []roster.FrontListener, stored map[string][]*os.File) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var next []door.Listener
	var opened []*os.File
	for _, l := range want {
		name := listenerName(l.Address)
		f := d.heldLocked(name)
		if files := stored[name]; f == nil && len(files) == 1 {
			f = files[0]
		}
		if f == nil {
			var err error
			if f, err = d.openLocked(l.Address, want); err != nil {
				for _, f := range opened {
					f.Close()
				}
				return listenError(l.Address, err)
			}
			opened = append(opened, f)
		}
		next = append(next, door.Listener{Name: name, File: f, TLS: l.TLS})
	}
	for _, l := range next {
		if slices.Contains(opened, l.File) {
			d.tell(stage0.Message{Type: stage0.Store, Name: l.Name, Files: []*os.File{l.File}})
		}
	}
	d.setListenersLocked(next)
	return nil
}

// openLocked makes a listener. One that is about to go may hold its port at another address, as 127.0.0.1 does when the site goes to all
// interfaces: then both share the port, so that at no moment nobody listens. Linux lets in, from then on, whoever runs as our user and asks to
// share as well: such a one could take our sockets in any case. A listener that does not ask, as another appliance's, is refused as ever.
func (d *frontDoor) openLocked(address string, want []roster.FrontListener) (*os.File, error) {
	f, err := openListener(address, nil)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return f, err
	}
	_, port, _ := net.SplitHostPort(address) // it was good enough to be bound
	for _, l := range d.listeners {
		_, its, _ := net.SplitHostPort(strings.TrimPrefix(l.Name, listenerName("")))
		stays := slices.ContainsFunc(want, func(w roster.FrontListener) bool { return listenerName(w.Address) == l.Name })
		if its != port || stays {
			continue
		}
		c, err := l.File.SyscallConn()
		if err != nil {
			return nil, err
		}
		if err := sharePort("", "", c); err != nil {
			return nil, err
		}
	}
	return openListener(address, sharePort)
}

func openListener(address string, control func(network, address string, c syscall.RawConn) error) (*os.File, error) {
	config := net.ListenConfig{Control: control}
	l, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return l.(*net.TCPListener).File()
}

// sharePort sets SO_REUSEPORT, socket(7): both sockets must have it when the second one is bound.
func sharePort(_, _ string, c syscall.RawConn) (err error) {
	if control := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); control != nil {
		return control
	}
	return os.NewSyscallError("setsockopt SO_REUSEPORT", err)
}

func (d *frontDoor) heldLocked(name string) *os.File {
	for _, l := range d.listeners {
		if l.Name == name {
			return l.File
		}
	}
	return nil
}

// setListenersLocked tells the door, then closes what is not listened on any more, here and at stage 0.
func (d *frontDoor) setListenersLocked(next []door.Listener) {
	old := d.listeners
	d.listeners = next
	d.refreshLocked()
	for _, l := range old {
		if d.heldLocked(l.Name) == nil {
			l.File.Close()
			d.tell(stage0.Message{Type: stage0.Drop, Name: l.Name})
		}
	}
}

// listening is the address that the first listener really has: the port may have been chosen by the kernel.
func (d *frontDoor) listening() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.listeners) == 0 {
		return ""
	}
	l, err := net.FileListener(d.listeners[0].File)
	if err != nil {
		return ""
	}
	defer l.Close()
	return l.Addr().String()
}

// listenError says who has the port, or what it takes to have it.
func listenError(address string, err error) error {
	remedy := "stop that program, or choose another address with listen in appliance.yaml, or --listen"
	switch _, port, _ := net.SplitHostPort(address); {
	case errors.Is(err, syscall.EACCES):
		remedy = lowPortRemedy(port)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		remedy = "that is no address of this machine; choose one that `ip address` shows, or leave the host out to listen on all"
	case errors.Is(err, syscall.EAFNOSUPPORT):
		remedy = "IPv6 is off on this machine; choose an IPv4 address with listen in appliance.yaml, or --listen"
	}
	return &roster.Refusal{Code: roster.CodeRefused, Err: fmt.Errorf("listen on %s: %w%s", address, err, roster.HolderOf(address)), Remedy: remedy}
}

// lowPortRemedy is for a user whom the kernel refuses ports below net.ipv4.ip_unprivileged_port_start (1024 by default: ip(7)).
func lowPortRemedy(port string) string {
	self, err := os.Executable()
	if err != nil {
		self = "sourcegraph"
	}
	if _, err := strconv.Atoi(port); err != nil {
		port = "80"
	}
	return "this user may not listen on ports below 1024. As root, allow it with: sysctl -w net.ipv4.ip_unprivileged_port_start=" + port +
		" (to keep it, write the same into /etc/sysctl.d/), or with: setcap cap_net_bind_service=+ep " + self + "; or choose another port with listen in appliance.yaml, or --listen"
}
