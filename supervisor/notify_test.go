package supervisor

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

func TestNotifySocketIsMadeInAFreshRunDirectory(t *testing.T) {
	dir, err := os.MkdirTemp("", "notify")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	h, u, l := &Host{runDir: dir}, &unit{name: "hello/1"}, newLife(1, services.Instance{})
	t.Cleanup(l.cancel)
	require.NoError(t, h.listenNotify(u, l, os.Getuid()))
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: h.notifyPath(u.name), Net: "unixgram"})
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("READY=1"))
	require.NoError(t, err)
	select {
	case <-l.ready:
	case <-time.After(30 * time.Second):
		t.Fatal("READY=1 was not heard")
	}
}
