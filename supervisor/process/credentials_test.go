package process

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const noCaps = "0000000000000000"

func TestChildHasItsUserAndNothingElse(t *testing.T) {
	needRoot(t)
	s := newSpawner(t)
	d := describe(t, s, asUser(role("describe"), 12345, 1879048200))
	require.Equal(t, 12345, d.UID)
	require.Equal(t, 12345, d.GID)
	require.Equal(t, []int{1879048200}, d.Groups)
	require.Equal(t, "1", d.Status["NoNewPrivs"])
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		require.Equal(t, noCaps, d.Status[set], set)
	}
}

// Not even uid 0 gets anything back, neither as a service's user nor in the one-user mode.
func TestUIDZeroWithoutCapabilities(t *testing.T) {
	needRoot(t)
	s := newSpawner(t)
	for _, spec := range []Spec{role("describe"), asUser(role("describe"), 0)} {
		d := describe(t, s, spec)
		require.Equal(t, 0, d.UID)
		for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
			require.Equal(t, noCaps, d.Status[set], set)
		}
	}
	require.True(t, Capable("SETUID", "SETGID", "KILL"), "we keep ours")
}

func TestKeptCapability(t *testing.T) {
	needRoot(t)
	s := newSpawner(t)
	spec := asUser(role("describe"), 12345)
	spec.Caps = []string{"NET_BIND_SERVICE"}
	d := describe(t, s, spec)
	for _, set := range []string{"CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		require.Equal(t, "0000000000000400", d.Status[set], set)
	}
	d = describe(t, s, asUser(role("describe"), 12345))
	require.Equal(t, noCaps, d.Status["CapBnd"], "the next one has none")
}

// E62: as an ordinary user, all that needs no privilege works.
func TestE62OrdinaryUser(t *testing.T) {
	if !isInner("TestE62OrdinaryUser") {
		needRoot(t)
		inner(t, "", 65534, "TestE62OrdinaryUser")
		return
	}
	s := newSpawner(t)
	d := describe(t, s, role("describe"))
	require.Equal(t, 65534, d.UID)
	require.Equal(t, "1", d.Status["NoNewPrivs"])
	require.Equal(t, d.PID, d.SID)
	require.Equal(t, 3, start(t, s, role("exit 3")).wait(t).Code)
}
