package roster

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOpenListenersAreSaid(t *testing.T) {
	s := newSite(t, nil)
	s.release("6.4.0", map[string]any{"product": "sourcegraph"})
	said := strings.Join(s.load().Warnings, "\n")
	require.Contains(t, said, "worker listens on all interfaces with its port http, 127.0.0.1:3189")
	require.Contains(t, said, "worker listens on all interfaces with its port executors, 127.0.0.1:6996")
	require.Contains(t, said, "firewall")

	s = newSite(t, nil)
	s.release("1.0.0", nil)
	require.NotContains(t, strings.Join(s.load().Warnings, "\n"), "all interfaces")
}
