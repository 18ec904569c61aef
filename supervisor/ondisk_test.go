package supervisor

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
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

func (s *site) config() api.Config {
	st, err := s.client.Status(s.t.Context(), nil)
	require.NoError(s.t, err)
	return st.Appliance.Config
}

func (s *site) untilConfig(state string) api.Config {
	s.t.Helper()
	require.True(s.t, waitFor(30*time.Second, func() bool { return s.config().State == state }), "%+v", s.config())
	return s.config()
}

// TestChangeOnDiskIsSeenHeldAndApplied: shown and not applied; an invalid one is named while the old runs; with auto_apply it is applied by
// itself, but not a file that is empty for a moment.
func TestChangeOnDiskIsSeenHeldAndApplied(t *testing.T) {
	const before = "a: {command: [/bin/sleep, \"1000\"]}\n"
	s := newSite(t, before)
	s.start()
	first := s.until("a", in(api.Ready))
	require.Equal(t, api.ConfigApplied, s.config().State)
	s.write("a: {command: [/bin/sleep, \"2000\"]}\nb: {command: [/bin/sleep, \"1000\"]}\n")
	c := s.untilConfig(api.ConfigChanged)
	require.Equal(t, []string{"a"}, c.Restart)
	require.Equal(t, []string{"b"}, c.Start)
	require.Equal(t, first.PID, s.status()["a"].PID)
	s.write("a: {comand: [/bin/sleep]}\n")
	c = s.untilConfig(api.ConfigInvalid)
	require.Contains(t, c.Fault, `unknown key "comand"`)
	require.Equal(t, first.PID, s.status()["a"].PID)
	s.write(before)
	s.untilConfig(api.ConfigApplied)

	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "appliance.yaml"), []byte("auto_apply: true\n"), 0o644))
	c = s.untilConfig(api.ConfigChanged)
	require.Equal(t, []string{"auto_apply"}, c.Setting)
	_, err := s.client.Reload(t.Context())
	require.NoError(t, err)
	s.write("")
	c = s.untilConfig(api.ConfigChanged)
	require.Contains(t, c.Fault, "services.d/test.yaml has lost its whole content")
	require.Equal(t, first.PID, s.status()["a"].PID, "a file that is empty for a moment stops nothing")
	s.write(before + "b: {command: [/bin/sleep, \"1000\"]}\n")
	s.until("b", in(api.Ready))
	s.untilConfig(api.ConfigApplied)
	require.Equal(t, first.PID, s.status()["a"].PID)
}
