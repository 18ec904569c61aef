package supervisor_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestListenerChangesItsAddressAtTheSamePort: from loopback to all interfaces and back, while each request is a new connection. Somebody listens
// at every moment; what waits in the queue of the old socket when that closes gets a reset, as from every server that closes one.
func TestListenerChangesItsAddressAtTheSamePort(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.listens = true
		port := portOf(a.address)
		a.configure("listen: %q\n", a.address)
		a.service("idle", "idle", "")
		a.run().awaitReady("idle")
		ctx, end := context.WithCancel(t.Context())
		asked := make(chan error, 1)
		go func() {
			var err error
			for ctx.Err() == nil && err == nil {
				if err = a.doorAnswers(); errors.Is(err, syscall.ECONNRESET) {
					err = nil
				}
			}
			asked <- err
		}()
		for _, step := range []struct{ listen, hex string }{
			{":" + port, strings.Repeat("0", 32)}, {a.address, "0100007F"}, {"0.0.0.0:" + port, strings.Repeat("0", 32)}, {":" + port, strings.Repeat("0", 32)},
		} {
			a.configure("listen: %q\n", step.listen)
			change, err := a.client.Reload(a.context())
			require.NoError(t, err)
			require.Empty(t, change.Warnings, step.listen)
			a.until("it listens on "+step.listen+" alone", func() bool { return slices.Equal(listening(t, port), []string{step.hex}) }, func() any { return listening(t, port) })
		}
		end()
		require.NoError(t, <-asked)
		_, err := net.Listen("tcp", ":"+port)
		require.ErrorIs(t, err, syscall.EADDRINUSE, "another appliance is refused as ever")
	})
}

// listening are the addresses that somebody listens on at a port, in the kernel's notation.
func listening(t *testing.T, port string) (addresses []string) {
	number, err := strconv.ParseUint(port, 10, 16)
	require.NoError(t, err)
	want := strings.ToUpper(strconv.FormatUint(number+0x10000, 16))[1:]
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		require.NoError(t, err)
		for line := range bytes.Lines(text) {
			f := strings.Fields(string(line))
			if address, its, _ := strings.Cut(f[1], ":"); its == want && f[3] == "0A" {
				addresses = append(addresses, address)
			}
		}
	}
	return addresses
}
