package roster

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

func TestURLDrivesTheFrontDoor(t *testing.T) {
	files := TLS{"c", "k"}
	acme := &ACME{AcceptTerms: true, Directory: letsEncrypt}
	private := &ACME{AcceptTerms: true, Directory: "https://ca.internal/acme"}
	proxies := []keys.Network{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}
	for name, tc := range map[string]struct {
		site   Site
		want   []FrontListener
		public bool
		err    string
	}{
		"nothing said":             {Site{}, []FrontListener{{"127.0.0.1:7080", false}}, false, ""},
		"a certificate, no url":    {Site{TLS: files}, []FrontListener{{"127.0.0.1:7080", true}}, false, ""},
		"https, files":             {Site{URL: "https://code.example.com", TLS: files}, []FrontListener{{":443", true}, {":80", false}}, true, ""},
		"https, its own port":      {Site{URL: "https://code.example.com:8443/", TLS: files}, []FrontListener{{":8443", true}}, true, ""},
		"https, ACME":              {Site{URL: "https://code.example.com", ACME: acme}, []FrontListener{{":443", true}, {":80", false}}, true, ""},
		"https, a private CA":      {Site{URL: "https://code", ACME: private}, []FrontListener{{":443", true}, {":80", false}}, true, ""},
		"https behind a proxy":     {Site{URL: "https://code.example.com", TrustedProxies: proxies}, []FrontListener{{"127.0.0.1:7080", false}}, true, ""},
		"http":                     {Site{URL: "http://code.example.com"}, []FrontListener{{":80", false}}, true, ""},
		"http with a port":         {Site{URL: "http://code.example.com:8080"}, []FrontListener{{":8080", false}}, true, ""},
		"this machine only":        {Site{URL: "http://localhost:7081"}, []FrontListener{{"localhost:7081", false}}, false, ""},
		"this machine only, IPv6":  {Site{URL: "http://[::1]:7081"}, []FrontListener{{"[::1]:7081", false}}, false, ""},
		"listen wins":              {Site{URL: "https://code.example.com", TLS: files, Listen: []keys.Listener{"10.0.0.1:8443", "[::]:80"}}, []FrontListener{{"10.0.0.1:8443", true}, {"[::]:80", false}}, true, ""},
		"listen with schemes":      {Site{URL: "https://code.example.com", TLS: files, Listen: []keys.Listener{"https://:80", "http://:8080"}}, []FrontListener{{":80", true}, {":8080", false}}, true, ""},
		"a proxy on this machine":  {Site{TrustedProxies: proxies}, []FrontListener{{"127.0.0.1:7080", false}}, true, ""},
		"all interfaces":           {Site{Listen: []keys.Listener{":7080"}}, []FrontListener{{":7080", false}}, true, ""},
		"https by nobody":          {Site{URL: "https://code.example.com"}, nil, false, "nothing says who speaks TLS"},
		"http with a certificate":  {Site{URL: "http://code.example.com", TLS: files}, nil, false, "in clear, and there is a certificate"},
		"two certificates":         {Site{URL: "https://code.example.com", TLS: files, ACME: acme}, nil, false, "both tls and acme"},
		"ACME without url":         {Site{ACME: acme}, nil, false, "acme needs url"},
		"acme while offline":       {Site{URL: "https://code.example.com", ACME: acme, Offline: true}, nil, false, "offline is true"},
		"terms not accepted":       {Site{URL: "https://code.example.com", ACME: &ACME{Directory: letsEncrypt}}, nil, false, "accept_terms"},
		"no public name":           {Site{URL: "https://code.internal", ACME: acme}, nil, false, "no certificate for \"code.internal\""},
		"an address":               {Site{URL: "https://10.0.0.1", ACME: acme}, nil, false, "no certificate for \"10.0.0.1\""},
		"TLS nowhere":              {Site{URL: "https://code.example.com", TLS: files, Listen: []keys.Listener{":80"}}, nil, false, "no address of listen speaks TLS"},
		"TLS without certificate":  {Site{Listen: []keys.Listener{"https://:443"}}, nil, false, "neither tls nor acme"},
		"listen twice":             {Site{Listen: []keys.Listener{":80", "http://:80"}}, nil, false, "twice"},
		"listen, another protocol": {Site{Listen: []keys.Listener{"ftp://:21"}}, nil, false, "neither http:// nor https://"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := tc.site.Front("127.0.0.1:7080")
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				require.Equal(t, CodeInvalid, code(err))
				require.NotEmpty(t, hintOf(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, f.Listeners)
			require.Equal(t, tc.public, tc.site.Public(f))
		})
	}
}

func TestFrontDoorKeysAreRead(t *testing.T) {
	s := newSite(t, map[string]string{
		"appliance.yaml": `url: https://code.example.com
listen: [":443", "http://:8080"]
acme: {accept_terms: true, email: admin@example.com, directory: https://ca.example.com/acme, ca: ca.pem, eab: {key_id: a, key_file: secrets/eab}}
`, "ca.pem": "x", "secrets/eab": "x",
	})
	c, err := readConfig(s.opts.ConfigFile)
	require.NoError(t, err)
	require.EqualValues(t, "https://code.example.com", c.site.URL)
	require.Equal(t, []keys.Listener{":443", "http://:8080"}, c.site.Listen)
	require.True(t, c.site.ACME.AcceptTerms)
	require.Equal(t, "https://ca.example.com/acme", c.site.ACME.Directory)
	require.FileExists(t, string(c.site.ACME.CA))
	require.FileExists(t, string(c.site.ACME.EAB.KeyFile))

	s = newSite(t, map[string]string{"appliance.yaml": `url: code.example.com
listen: [7080, "ftp://:21"]
acme: {accept_terms: perhaps, directory: http://x, ca: gone.pem, eab: {key: x}}
`})
	_, err = readConfig(s.opts.ConfigFile)
	for _, want := range []string{
		`:1:6: url: "code.example.com" begins with neither https:// nor http://`, `:2:10: listen: "7080" is no address`, `:2:16: listen: "ftp://:21"`,
		`acme.accept_terms must be true or false`, `acme.directory: "http://x" is not an https:// address`, "acme.ca: open", `unknown key "key" in acme.eab; there are: key_id, key_file`,
	} {
		require.ErrorContains(t, err, want)
	}
}
