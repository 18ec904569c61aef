package roster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/sourcegraph/appliance/services"
)

// firstFree is where ports are looked for when the catalog's is taken: below the range that Linux gives to outgoing connections (from 32768).
const (
	firstFree = 20000
	lastFree  = 32767
)

// addressBook is state/addresses: which port is whose. An address stays what it was at the first start, also while its service is away.
type addressBook struct {
	Schema    int                     `json:"schema"`
	Addresses map[string]addressEntry `json:"addresses"` // by services.AddressKey
}

type addressEntry struct {
	Address string `json:"address"`
	Asked   int    `json:"asked,omitempty"` // the port that the site asked for; another wish, or none, gives another address
}

func readAddresses(path string) (addressBook, error) {
	book := addressBook{Schema: 1, Addresses: map[string]addressEntry{}}
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return book, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &book)
	}
	if err == nil && book.Schema != 1 {
		err = fmt.Errorf("schema is %d, this appliance reads 1", book.Schema)
	}
	if err != nil {
		return book, invalid(fmt.Errorf("read the services' addresses in %s: %w", path, err),
			"gitserver's address is part of its data: restore the file from a backup rather than removing it")
	}
	if book.Addresses == nil {
		book.Addresses = map[string]addressEntry{}
	}
	return book, nil
}

// assign gives every port an address, and reports whether the book changed. free tells whether a port is nobody's now, and keeps it so.
func (b addressBook) assign(list []services.Effective, free func(port int) bool) (changed bool, err error) {
	taken := map[string]bool{}
	for _, entry := range b.Addresses {
		taken[entry.Address] = true
	}
	for _, e := range list {
		for n := range e.Count {
			for _, p := range e.Ports {
				again, err := b.assignOne(services.AddressKey(e.Name, n, p.Name), p, n, taken, free)
				if err != nil {
					return changed, err
				}
				changed = changed || again
			}
		}
	}
	return changed, nil
}

func (b addressBook) assignOne(key string, p services.Port, n int, taken map[string]bool, free func(int) bool) (changed bool, err error) {
	asked := 0
	if p.Site && n == 0 {
		asked = p.Number
	}
	old, known := b.Addresses[key]
	if known && old.Asked == asked && (!p.Fixed || old.Address == address(p.Number)) {
		return false, nil
	}
	delete(taken, old.Address)
	port := p.Number
	wish := asked != 0 || p.Fixed && n == 0
	if !wish && (port == 0 || n > 0 || taken[address(port)] || !free(port)) {
		if port = nextFree(taken, free); port == 0 {
			return false, &Refusal{Code: CodeRefused, Err: fmt.Errorf("%s: no port from %d to %d is free", key, firstFree, lastFree), Remedy: "see who listens: ss -ltnp"}
		}
	}
	b.Addresses[key] = addressEntry{Address: address(port), Asked: asked}
	taken[address(port)] = true
	return true, nil
}

func nextFree(taken map[string]bool, free func(int) bool) int {
	for port := firstFree; port <= lastFree; port++ {
		if !taken[address(port)] && free(port) {
			return port
		}
	}
	return 0
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func portOf(address string) (int, error) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// portFree binds a port for a moment.
func portFree(port int) bool {
	ln, err := net.Listen("tcp4", address(port))
	if err != nil {
		return false
	}
	return ln.Close() == nil
}

// plain is the book as [services.Input] takes it.
func (b addressBook) plain() map[string]string {
	out := make(map[string]string, len(b.Addresses))
	for key, entry := range b.Addresses {
		out[key] = entry.Address
	}
	return out
}

func (b addressBook) write(path string) error {
	content, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(content, '\n'), 0o644)
}

// CheckPorts refuses, with exit code 6, a plan one of whose ports is held by somebody else. It is for the time before anything of the plan runs:
// ours tells of a process that belongs to this appliance; nil means that none does. Only the ports of wanted instances count; they are reserved
// from here on.
func (r *Roster) CheckPorts(ports *Ports, ours func(pid int) bool) error {
	for _, inst := range r.Plan.Instances {
		if !inst.Wanted || inst.Kind == services.KindExternal {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(inst.Addresses)) {
			if err := checkPort(inst, name, ports, ours); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkPort(inst services.Instance, name string, ports *Ports, ours func(pid int) bool) error {
	port, err := portOf(inst.Addresses[name])
	if err != nil {
		return fmt.Errorf("address of %s: %w", inst.Name(), err)
	}
	if err := ports.Hold(port); err != nil {
		return taken(inst, name, err.Error())
	}
	if portFree(port) {
		return nil
	}
	pid, cmd, err := PortHolder(port)
	if err == nil && pid != 0 && ours != nil && ours(pid) {
		return nil
	}
	holder := "another process"
	if pid != 0 {
		holder = fmt.Sprintf("process %d (%s)", pid, cmd)
	}
	return taken(inst, name, "is taken by "+holder)
}

func taken(inst services.Instance, name, how string) error {
	return &Refusal{
		Code:   CodeRefused,
		Err:    fmt.Errorf("%s: its port %s, %s, %s", inst.Name(), name, inst.Addresses[name], how),
		Remedy: fmt.Sprintf("stop that process, or give the service another port where it can have one: services.%s.ports.%s", inst.Service, name),
	}
}

func addressFile(dataDir string) string { return filepath.Join(dataDir, "state", "addresses") }
