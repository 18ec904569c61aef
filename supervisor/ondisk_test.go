package supervisor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/roster"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// TestSiteFileRulesTheFrontDoor: what the file says is what counts, and a flag wins over it.
func TestSiteFileRulesTheFrontDoor(t *testing.T) {
	s, _ := newSetup(t, "127.0.0.1:1")
	on, off := true, false
	var network keys.Network
	require.NoError(t, network.UnmarshalText([]byte("10.1.2.3/8")))
	s.roster.Site = roster.Site{TLS: roster.TLS{Cert: "/c.pem", Key: "/k.pem"}, TrustedProxies: []keys.Network{network}, Log: roster.SiteLog{Stdout: &on}}
	require.Equal(t, roster.TLS{Cert: "/c.pem", Key: "/k.pem"}, s.site().TLS)
	require.Equal(t, []string{"10.0.0.0/8"}, s.doorState().TrustedProxies)
	require.True(t, *s.site().Log.Stdout)
	s.opts.Flags = Flags{TLSCert: "/c2.pem", TLSKey: "/k2.pem", LogStdout: &off}
	require.Equal(t, roster.TLS{Cert: "/c2.pem", Key: "/k2.pem"}, s.site().TLS)
	require.False(t, *s.site().Log.Stdout)
}
