package cgroup

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// bindAll listens in every way that a program may, and tells on which host it is then, and whether IPv4's loopback leads there.
func bindAll() {
	for _, at := range []struct{ network, address string }{
		{"tcp", ":0"}, {"tcp4", "0.0.0.0:0"}, {"tcp6", "[::]:0"}, {"tcp", "127.0.0.2:0"},
	} {
		ln, err := net.Listen(at.network, at.address)
		if err != nil {
			fmt.Println(err)
			continue
		}
		host, port, _ := net.SplitHostPort(ln.Addr().String())
		_, err = net.Dial("tcp4", "127.0.0.1:"+port)
		fmt.Println(host, err == nil)
	}
	conn, err := net.ListenPacket("udp4", ":0")
	fmt.Println(conn.LocalAddr(), err)
	select {}
}

func TestListenersAreKeptOnLoopback(t *testing.T) {
	tree := openTree(t)
	if err := tree.CanKeepOnLoopback(); err != nil {
		t.Skipf("this kernel does not let us: %v", err)
	}
	g := create(t, tree, Budget{})
	require.NoError(t, g.KeepOnLoopback())
	p := start(t, g, os.Args[0], "bind")
	require.Equal(t, "127.0.0.1 true", p.line(t))
	require.Equal(t, "127.0.0.1 true", p.line(t))
	// A socket of IPv6 alone has no way to IPv4's loopback: better none than one that all can reach.
	require.Contains(t, p.line(t), "bind: invalid argument")
	require.Equal(t, "127.0.0.2 false", p.line(t))
	require.Contains(t, p.line(t), "0.0.0.0:")
}

func TestListenersElsewhereAreLeftAlone(t *testing.T) {
	tree := openTree(t)
	p := start(t, create(t, tree, Budget{}), os.Args[0], "bind")
	require.Equal(t, ":: true", p.line(t))
}
