package roster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

func beside(t *testing.T, file, name, content string) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(file), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// TestKeysOfTheOutside: each key arrives where the plan is made from, files with a stamp of their content.
func TestKeysOfTheOutside(t *testing.T) {
	file := siteFile(t, `
proxy: {http: "http://proxy:3128", https: "http://proxy:3129", user: sg, password_secret: proxy, no_proxy: [.corp, 10.0.0.0/8]}
ca_certificates: ca.pem
offline: true
git: {ssh_key: key, known_hosts: hosts, netrc: netrc, config: config}
`)
	ca := beside(t, file, "ca.pem", certificate(t))
	key := filepath.Join(filepath.Dir(file), "key")
	require.NoError(t, exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).Run())
	hosts, netrc, config := beside(t, file, "hosts", "h"), beside(t, file, "netrc", "machine h login u password p"), beside(t, file, "config", "[core]")
	c, err := readConfig(file)
	require.NoError(t, err)
	s, err := c.selection("demo", "1.0.0")
	require.NoError(t, err)
	x := s.Outside
	require.Equal(t, services.Proxy{
		HTTP: "http://proxy:3128", HTTPS: "http://proxy:3129", User: "sg", PasswordSecret: "proxy", NoProxy: []string{".corp", "10.0.0.0/8"},
	}, x.Proxy)
	require.True(t, x.Offline)
	require.Equal(t, ca, x.CA[len(x.CA)-1].Path)
	require.Equal(t, []string{key, hosts, netrc, config}, []string{x.Git.SSHKey.Path, x.Git.KnownHosts.Path, x.Git.Netrc.Path, x.Git.Config.Path})
	require.NoError(t, os.Chtimes(netrc, time.Time{}, time.Unix(1, 0)))
	later, err := c.selection("demo", "1.0.0")
	require.NoError(t, err)
	require.NotEqual(t, x.Git.Netrc.Stamp, later.Outside.Git.Netrc.Stamp)
	require.Equal(t, x.Git.Config, later.Outside.Git.Config)
}

func TestFaultsOfTheOutside(t *testing.T) {
	for text, wants := range map[string][]string{
		"proxy: {user: sg}":                                {":1:", "proxy", "needs http or https"},
		`proxy: {http: "http://sg:word@proxy:3128"}`:       {"proxy.http", "user and password have keys of their own"},
		`proxy: {https: "http://p:1", password_secret: x}`: {"proxy.password_secret", "needs user"},
		`proxy: {https: "http://p:1", no_proxy: ["a,b"]}`:  {"proxy.no_proxy", "one an entry"},
		`proxy: {https: "http://p:1", no_porxy: [a]}`:      {`did you mean "no_proxy"`},
		"ca_certificates: nowhere.pem":                     {"ca_certificates", "nowhere.pem", "no such file"},
		"git: {ssh_key: nowhere, netrc: none}":             {"git.ssh_key", "git.netrc"},
		"offline: perhaps":                                 {"offline", "true or false"},
	} {
		_, err := readConfig(siteFile(t, text+"\n"))
		for _, want := range wants {
			require.ErrorContains(t, err, want, text)
		}
	}
}

func TestContentsThatCannotServeAreRefused(t *testing.T) {
	dir := t.TempDir()
	for name, args := range map[string][]string{"new": {"-t", "ed25519"}, "old": {"-t", "rsa", "-m", "PEM"}} {
		key := filepath.Join(dir, name)
		require.NoError(t, exec.Command("ssh-keygen", append(args, "-q", "-N", "", "-f", key)...).Run())
		content, err := ReadSource(key)
		require.NoError(t, err)
		require.NoError(t, checkSSHKey(content), name)
		require.NoError(t, exec.Command("ssh-keygen", "-q", "-p", "-N", "a passphrase", "-f", key).Run())
		content, err = ReadSource(key)
		require.NoError(t, err)
		require.ErrorContains(t, checkSSHKey(content), "passphrase", name)
		require.ErrorContains(t, checkCertificates(content), "must not see")
	}
	require.ErrorContains(t, checkSSHKey("ssh-ed25519 AAAA me"), "no private key")
	require.ErrorContains(t, checkCertificates("hello"), "no certificate")
	require.ErrorContains(t, checkCertificates("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "cannot be read")
	require.NoError(t, checkCertificates(certificate(t)))
}

// TestSourceEndsWithANewline: ssh takes no key without one, and a certificate may follow.
func TestSourceEndsWithANewline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for content, want := range map[string]string{"": "", "a": "a\n", "a\n": "a\n"} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		got, err := ReadSource(path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.NoError(t, os.Truncate(path, maxSource+1))
	_, err := ReadSource(path)
	require.ErrorContains(t, err, "larger than 1MiB")
}

func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
