package e2e_test

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// sink is a network whose only way out ends in nothing and is counted. The neighbour is known, so that a packet is one packet.
const sink = `set -e
ip link add out type veth peer name end
for d in out end; do echo 1 > /proc/sys/net/ipv6/conf/$d/disable_ipv6; ip link set $d up; done
ip link set lo up
ip address add 192.0.2.1/24 dev out
ip neighbour add 192.0.2.254 lladdr 02:00:00:00:00:01 dev out nud permanent
ip route add default via 192.0.2.254
exec "$@"`

// inSink says that this test binary runs in the sink.
const inSink = "E2E_IN_SINK"

// TestOfflineTheDemoSendsNothing runs the whole product with `offline: true` in a network of its own: from the first start over searches, a kill, a
// reload and a fetch to the ordered stop no packet leaves it. One of ours does, and is counted.
func TestOfflineTheDemoSendsNothing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a network")
	}
	if os.Getenv(inSink) == "" {
		cmd := exec.Command("unshare", "--net", "sh", "-c", sink, "sh", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), inSink+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), "--- PASS: "+t.Name())
		return
	}
	conn, err := net.Dial("udp", "198.51.100.7:9")
	require.NoError(t, err)
	_, err = conn.Write([]byte("one"))
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	before := sent(t)
	require.Positive(t, before, "the sink counts")

	a := install(t)
	a.top = "offline: true\n"
	a.configure("worker", "env: {DEMO_FETCH_INTERVAL: 1s}")
	needles := a.stock()
	old := a.service("searcher")
	a.kill(old.PID)
	a.until("searcher", func(s api.Service) bool { return s.Run > old.Run && s.State == api.Ready })
	st, _ := a.status()
	require.NoError(t, syscall.Kill(st.PID, syscall.SIGKILL))
	a.ready()
	a.reload()
	a.repository("two", "more", "needle\n") // found by a fetch
	a.answers("needle count:all", needles+1)
	require.Equal(t, 0, a.stop(), a.out)
	require.Equal(t, before, sent(t))
}

// sent counts the packets that left.
func sent(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/net/dev")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 10 && f[0] == "out:" {
			packets, err := strconv.Atoi(f[10])
			require.NoError(t, err)
			return packets
		}
	}
	require.Fail(t, "there is no way out", string(text))
	return 0
}
