package roster

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

// TestKeysOfTheSiteConfiguration: each key arrives where the plan is made from.
func TestKeysOfTheSiteConfiguration(t *testing.T) {
	file := siteFile(t, `
site_config: site.jsonc
email: {host: smtp.example.com, from: sg@example.com, user: sg, password_secret: smtp, authentication: CRAM-MD5, domain: code.example.com}
license_file: license
`)
	path := beside(t, file, "site.jsonc", "{\n  // ours\n  \"externalURL\": \"https://code.example.com\",\n}")
	beside(t, file, "license", "k3y")
	c, err := readConfig(file)
	require.NoError(t, err)
	s, err := c.selection("sourcegraph", "7.0.0")
	require.NoError(t, err)
	require.Equal(t, path, s.SiteConfig.File.Path)
	require.NotEmpty(t, s.SiteConfig.File.Stamp)
	require.Equal(t, services.Email{Host: "smtp.example.com", Port: 587, From: "sg@example.com", User: "sg", PasswordSecret: "smtp", Auth: "CRAM-MD5", Domain: "code.example.com"}, s.SiteConfig.Email)
	require.Equal(t, filepath.Join(filepath.Dir(file), "license"), s.SiteConfig.License.Path)
	require.Empty(t, c.warnings)
	_, err = c.selection("demo", "1.0.0")
	require.NoError(t, err)
	require.Contains(t, c.warnings[0], "the demo sends no mail")
}

// TestLicenseIsReadFromItsFile: as a secret, which is in no plan, and which others may not read.
func TestLicenseIsReadFromItsFile(t *testing.T) {
	s := newSite(t, map[string]string{"appliance.yaml": "site_config: site.jsonc\nlicense_file: license\n", "site.jsonc": "{}", "license": "k3y\n"})
	s.release("1.0.0", nil)
	license := filepath.Join(filepath.Dir(s.opts.ConfigFile), "license")
	require.Equal(t, "k3y", s.load().Secrets[license])
}

func TestFaultsOfTheSiteConfiguration(t *testing.T) {
	for text, wants := range map[string][]string{
		"email: {host: h, from: a@b}":                                       {"email", "site_config names none"},
		"license_file: l":                                                   {"license_file", "site_config names none"},
		"site_config: site.jsonc\nlicense_file: l":                          {"licenseKey is in", "appliance.yaml, too"},
		"site_config: broken.jsonc":                                         {"site_config", "not JSON", "line 3"},
		"site_config: nowhere.jsonc":                                        {"no such file"},
		"email: {host: h}":                                                  {"needs host, the mail server, and from"},
		"email: {host: h, from: a@b, user: u}":                              {"both user and password_secret"},
		"email: {host: h, from: a@b, authentication: PLAIN}":                {"needs user"},
		"email: {host: 'h:25', from: a@b}":                                  {"without a port"},
		"email: {host: h, from: ab, port: 99999, authentication: whatever}": {"an address such as", "outside 1..65535", "PLAIN, CRAM-MD5"},
	} {
		file := siteFile(t, text+"\n")
		beside(t, file, "site.jsonc", `{"licenseKey": "k"}`)
		beside(t, file, "l", "k3y")
		beside(t, file, "broken.jsonc", "{\n\"a\"")
		c, err := readConfig(file)
		if err == nil {
			_, err = c.selection("sourcegraph", "7.0.0")
		}
		for _, want := range wants {
			require.ErrorContains(t, err, want, text)
		}
	}
}
