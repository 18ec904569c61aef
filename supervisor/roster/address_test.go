package roster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

func effective(t *testing.T, s services.Selection) []services.Effective {
	t.Helper()
	list, err := s.Effective()
	require.NoError(t, err)
	return list
}

func newBook() addressBook { return addressBook{Schema: 1, Addresses: map[string]addressEntry{}} }

func TestCatalogPortIfFreeElseFrom20000(t *testing.T) {
	book := newBook()
	list := effective(t, services.Selection{Product: "demo", Version: "1.0.0"})
	busy := map[int]bool{5432: true, 6379: true, 20000: true} // Debian's own servers, and somebody else
	changed, err := book.assign(list, func(port int) bool { return !busy[port] })
	require.NoError(t, err)
	require.True(t, changed)
	plain := book.plain()
	require.Equal(t, "127.0.0.1:20001", plain["postgres/0.postgres"])
	require.Equal(t, "127.0.0.1:20002", plain["redis-store/0.redis"])
	require.Equal(t, "127.0.0.1:3178", plain["gitserver/0.http"])

	changed, err = book.assign(list, func(int) bool { return false }) // they all run now
	require.NoError(t, err)
	require.False(t, changed, "an address stays what it was")
}

func TestPortThatTheSiteAsksForIsTaken(t *testing.T) {
	book := newBook()
	with := func(port int) services.Selection {
		return services.Selection{Product: "demo", Version: "1.0.0", Overrides: map[string]services.Override{"searcher": {Ports: map[string]int{"http": port}}}}
	}
	nobody := func(int) bool { return false }
	all := func(int) bool { return true }
	_, err := book.assign(effective(t, with(9099)), all)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:9099", book.plain()["searcher/0.http"])
	_, err = book.assign(effective(t, with(9100)), nobody)
	require.NoError(t, err, "a wish is not moved: who is in its place is named before the start")
	require.Equal(t, "127.0.0.1:9100", book.plain()["searcher/0.http"])
	_, err = book.assign(effective(t, services.Selection{Product: "demo", Version: "1.0.0"}), all)
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:3181", book.plain()["searcher/0.http"], "the wish is gone")
}

func TestFixedPortDoesNotMove(t *testing.T) {
	book := newBook()
	_, err := book.assign(effective(t, services.Selection{Product: "sourcegraph", Version: "6.0.0"}), func(port int) bool { return port != 3189 && port != 3178 })
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:3189", book.plain()["worker/0.http"])
	require.NotEqual(t, "127.0.0.1:3178", book.plain()["gitserver/0.http"])
}

func TestNoPortLeft(t *testing.T) {
	_, err := newBook().assign(effective(t, services.Selection{Product: "demo", Version: "1.0.0"}), func(int) bool { return false })
	require.Equal(t, CodeRefused, code(err))
	require.ErrorContains(t, err, "no port from 20000 to 32767 is free")
}

// TestAddressesNeverCollide is a property over replicas that come and go while ports are busy at random.
func TestAddressesNeverCollide(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 2))
		book := newBook()
		first := map[string]string{}
		for range 5 {
			n := 1 + r.IntN(5)
			list := effective(t, services.Selection{Product: "demo", Version: "1.0.0", Overrides: map[string]services.Override{"gitserver": {Replicas: &n}, "searcher": {Replicas: &n}}})
			_, err := book.assign(list, func(int) bool { return r.IntN(3) > 0 })
			require.NoError(t, err)
			owner := map[string]string{}
			for key, address := range book.plain() {
				require.Emptyf(t, owner[address], "seed %d: %s", seed, key)
				owner[address] = key
				if was, known := first[key]; known {
					require.Equal(t, was, address, "seed %d: %s moved", seed, key)
				}
				first[key] = address
			}
		}
	}
}

func TestAddressesAreKept(t *testing.T) {
	s := newSite(t, map[string]string{"services.d/a.yaml": "a: {command: [/bin/true], ports: {http: 0, debug: 0}, replicas: 2}\n"})
	first := s.load()
	require.True(t, first.Changed)
	second := s.load()
	require.False(t, second.Changed)
	require.Equal(t, first.Plan, second.Plan)

	require.NoError(t, os.WriteFile(addressFile(s.opts.DataDir), []byte("{"), 0o644))
	_, err := Load(s.opts)
	require.Equal(t, CodeInvalid, code(err))
	require.ErrorContains(t, err, addressFile(s.opts.DataDir))
}

func TestE35PortTakenNamesTheHolder(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port

	pid, cmd, err := PortHolder(port)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), pid)
	require.Contains(t, cmd, "roster.test")
	require.Contains(t, HolderOf(ln.Addr().String()), strconv.Itoa(pid))

	s := newSite(t, map[string]string{"services.d/a.yaml": fmt.Sprintf("a: {command: [/bin/true], ports: {http: %d}}\n", port)})
	r := s.load()
	err = r.CheckPorts(nil, nil)
	require.Equal(t, CodeRefused, code(err))
	require.ErrorContains(t, err, fmt.Sprintf("a: its port http, 127.0.0.1:%d, is taken by process %d (", port, pid))
	require.NoError(t, r.CheckPorts(nil, func(holder int) bool { return holder == pid }), "our own survivor is no stranger")
	ln.Close()
	require.NoError(t, r.CheckPorts(nil, nil))
	pid, _, err = PortHolder(port)
	require.NoError(t, err)
	require.Zero(t, pid)
}

func TestE35ListenerOnAllInterfacesCounts(t *testing.T) {
	ln, err := net.Listen("tcp", ":0")
	require.NoError(t, err)
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	require.False(t, portFree(port))
	pid, _, err := PortHolder(port)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), pid)
}
