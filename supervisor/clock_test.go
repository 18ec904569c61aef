package supervisor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/limits/vm"
	"github.com/sourcegraph/appliance/supervisor/api"
)

// guestBinary is where the appliance is in the virtual machine.
const guestBinary = "/sourcegraph"

// TestInVMClockSteps runs the next one in a machine whose clock may be set.
func TestInVMClockSteps(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: boots a virtual machine, whose programs are not built for the race detector")
	}
	p, err := built()
	require.NoError(t, err)
	vm.Run(t, ".", "^TestE43ClockStepsStopNobody$", map[string]string{guestBinary: p.sourcegraph})
}

// TestE43ClockStepsStopNobody: a clock that is set forth and back by days ends no service, delays no probe, and mixes up no log.
func TestE43ClockStepsStopNobody(t *testing.T) {
	if !vm.Inside() {
		t.Skip("it sets the clock: TestInVMClockSteps runs it where that harms nobody")
	}
	a := newAppliance(t)
	address := freeAddress(t)
	a.service("web", "http", "ports: {http: "+portOf(address)+"}\nready: {http: /, port: http, every: 100ms}\nlive: {http: /, port: http, every: 100ms, timeout: 10s, failures: 3}\n",
		"TEST_ADDR="+address, "TEST_SICK="+a.file("sick"))
	a.service("writer", "lines", "", "TEST_US=5000")
	a.run().awaitReady("web", "writer")
	for _, by := range []time.Duration{26 * time.Hour, -50 * time.Hour, 24 * time.Hour} {
		lines := len(a.logs("writer"))
		to := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
		require.NoError(t, unix.Settimeofday(&to))
		a.until("lines are written and kept", func() bool { return len(a.logs("writer")) > lines+50 })
	}
	for _, name := range []string{"web", "writer"} {
		s := a.awaitState(name, api.Ready)
		require.EqualValues(t, 1, s.Run, name)
	}
	a.replaceFile("sick", nil)
	a.await("web", "is found ill by its probe", func(s *api.Service) bool { return s.LastExit != nil && s.LastExit.Cause == api.CauseLiveness })
	a.requireEveryLine("writer")
	require.Zero(t, a.term())
}
