package supervisor_test

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// sink is a network whose only way out ends in nothing and is counted, with a name server there, too.
const sink = `set -e
ip link add out type veth peer name end
for d in out end; do echo 1 > /proc/sys/net/ipv6/conf/$d/disable_ipv6; ip link set $d up; done
ip link set lo up
ip address add 192.0.2.1/24 dev out
ip route add default via 192.0.2.254
exec "$@"`

// sent counts the packets that left, questions for a neighbour's address included.
func sent(t *testing.T, netdev *os.File) int {
	t.Helper()
	content := make([]byte, 64<<10)
	n, err := netdev.ReadAt(content, 0)
	require.Positive(t, n, "%v", err)
	for line := range strings.Lines(string(content[:n])) {
		if f := strings.Fields(line); len(f) > 10 && f[0] == "out:" {
			packets, err := strconv.Atoi(f[10])
			require.NoError(t, err)
			return packets
		}
	}
	require.Fail(t, "there is no way out", string(content[:n]))
	return 0
}

// TestOfflineTheApplianceSendsNothing: all stages and the door, from the moment that offline counts to the end of the ordered stop. Before, url is asked
// for, which shows that the sink counts.
func TestOfflineTheApplianceSendsNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a network")
	}
	a := newAppliance(t)
	a.before = []string{"unshare", "--net", "sh", "-c", sink, "sh"}
	a.service("idle", "idle", "")
	a.configure("url: http://198.51.100.7:7080\n")
	a.run().awaitReady("idle")
	netdev, err := os.Open("/proc/" + strconv.Itoa(a.cmd.Process.Pid) + "/net/dev")
	require.NoError(t, err)
	defer netdev.Close()
	a.until("url is asked for", func() bool { return strings.Contains(strings.Join(a.warnings(), "\n"), "could not be reached") })
	before := sent(t, netdev)
	require.Positive(t, before)

	a.configure("url: http://198.51.100.7:7080\noffline: true\n")
	_, err = a.client.Reload(a.context())
	require.NoError(t, err)
	a.until("url is asked for no more", func() bool { st := a.status(); return st != nil && len(st.Appliance.Warnings) == 0 })
	before = sent(t, netdev)
	old := a.stage1(0)
	a.kill(old, syscall.SIGKILL)
	a.stage1(old)
	a.awaitReady("idle")
	_, err = a.client.Reload(a.context())
	require.NoError(t, err)
	require.Zero(t, a.term())
	require.Equal(t, before, sent(t, netdev))
}
