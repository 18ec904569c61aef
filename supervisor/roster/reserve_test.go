package roster

import (
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sourcegraph/appliance/services"
)

// TestAppliancesThatStartAtOnceChooseDifferentPorts, though none of them has bound anything yet.
func TestAppliancesThatStartAtOnceChooseDifferentPorts(t *testing.T) {
	list := effective(t, services.Selection{Product: "demo", Version: "1.0.0"})
	var books [8]addressBook
	var g errgroup.Group
	for i := range books {
		books[i] = newBook()
		ports := NewPorts()
		t.Cleanup(func() { ports.Release() })
		g.Go(func() error {
			_, err := books[i].assign(list, ports.free)
			return err
		})
	}
	require.NoError(t, g.Wait())
	whose := map[string]int{}
	for i, book := range books {
		for key, address := range book.plain() {
			other, taken := whose[address]
			require.False(t, taken, "%s of appliances %d and %d is %s", key, other, i, address)
			whose[address] = i
		}
	}
}

// TestReservedPortIsRefusedWithItsHolder before anything starts, and free again once the other one is gone.
func TestReservedPortIsRefusedWithItsHolder(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := ln.Addr().(*net.TCPAddr).Port
	require.NoError(t, ln.Close())
	r := &Roster{Plan: services.Plan{Instances: []services.Instance{{
		Service: "a", Replicas: 1, Wanted: true, Addresses: map[string]string{"http": address(port)},
	}}}}
	other, ours := NewPorts(), NewPorts()
	defer other.Release()
	defer ours.Release()
	require.NoError(t, other.Hold(port))
	require.NoError(t, other.Hold(port), "what is ours stays ours")
	require.Equal(t, Reserved{port, os.Getpid()}, ours.Hold(port))

	err = r.CheckPorts(ours, nil)
	require.Equal(t, CodeRefused, code(err))
	require.ErrorContains(t, err, "reserved by another appliance (process "+strconv.Itoa(os.Getpid())+")")

	other.Release()
	require.NoError(t, r.CheckPorts(ours, nil))
	require.Error(t, other.Hold(port), "the check has reserved it")
}

// TestBusyPortIsNotKept: a port that somebody listens on is of no use to us, and is no other's loss.
func TestBusyPortIsNotKept(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	ours, other := NewPorts(), NewPorts()
	defer ours.Release()
	defer other.Release()
	require.False(t, ours.free(port))
	require.NoError(t, other.Hold(port))
}
