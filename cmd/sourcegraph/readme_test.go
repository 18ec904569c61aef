package main

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"
)

var (
	codeBlock  = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	codeSpan   = regexp.MustCompile("`([^`]+)`")
	ourCommand = regexp.MustCompile(`(?m)(?:^|; |&& |\$\(|exec \w+ )sourcegraph ([^#>;)\n]+)`)
)

// readme gives the blocks of README.md in one language, and what is left of the page without any.
func readme(t *testing.T, language string) (blocks []string, prose string) {
	t.Helper()
	page, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	for _, m := range codeBlock.FindAllStringSubmatch(string(page), -1) {
		if m[1] == language {
			blocks = append(blocks, m[2])
		}
	}
	require.NotEmpty(t, blocks)
	return blocks, codeBlock.ReplaceAllString(string(page), "")
}

// TestReadmeCommandsAreThere: every command line of README.md names a verb of ours, with flags that it has.
func TestReadmeCommandsAreThere(t *testing.T) {
	blocks, prose := readme(t, "sh")
	verbs := commands()
	var lines []string
	for _, m := range ourCommand.FindAllStringSubmatch(strings.Join(blocks, "\n"), -1) {
		lines = append(lines, m[1])
	}
	for _, m := range codeSpan.FindAllStringSubmatch(prose, -1) {
		words := strings.Fields(m[1])
		if words[0] == "sourcegraph" && len(words) > 1 {
			lines = append(lines, strings.Join(words[1:], " "))
		} else if verbNamed(verbs, words[0]) != nil {
			lines = append(lines, strings.Join(words, " "))
		}
	}
	require.Greater(t, len(lines), 20, "the page was read: %q", lines)
	for _, line := range lines {
		requireCommand(t, verbs, line)
	}
}

func verbNamed(list []*cli.Command, name string) *cli.Command {
	if i := slices.IndexFunc(list, func(c *cli.Command) bool { return c.HasName(name) }); i >= 0 {
		return list[i]
	}
	return nil
}

func requireCommand(t *testing.T, verbs []*cli.Command, line string) {
	t.Helper()
	words := strings.Fields(line)
	if words[0] == "help" {
		return
	}
	verb := verbNamed(verbs, words[0])
	require.NotNil(t, verb, "README.md says: sourcegraph %s", line)
	words = words[1:]
	if len(verb.Subcommands) > 0 {
		require.NotEmpty(t, words, "README.md says: sourcegraph %s", line)
		verb, words = verbNamed(verb.Subcommands, words[0]), words[1:]
		require.NotNil(t, verb, "README.md says: sourcegraph %s", line)
	}
	var flags []string
	for _, f := range append(commonFlags(), verb.Flags...) {
		flags = append(flags, f.Names()...)
	}
	for _, word := range words {
		if name := strings.TrimLeft(word, "-"); name != word && name != "" {
			name, _, _ = strings.Cut(name, "=")
			require.Contains(t, flags, name, "README.md says: sourcegraph %s", line)
		}
	}
}

// TestReadmeConfigurationIsValid: every block of YAML in README.md says in its first line which file it is, and is one without a fault.
func TestReadmeConfigurationIsValid(t *testing.T) {
	blocks, _ := readme(t, "yaml")
	srv := httptest.NewTLSServer(nil)
	srv.Close()
	private, err := x509.MarshalPKCS8PrivateKey(srv.TLS.Certificates[0].PrivateKey)
	require.NoError(t, err)
	inPEM := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for _, block := range blocks {
		line, _, _ := strings.Cut(block, "\n")
		name := strings.TrimPrefix(line, "# ")
		require.Contains(t, []string{"appliance.yaml", "services.d/hello.yaml"}, name)
		dir := t.TempDir()
		for file, content := range map[string]string{
			"tls/ca.pem": inPEM("CERTIFICATE", srv.Certificate().Raw), "secrets/git-key": inPEM("PRIVATE KEY", private), "secrets/netrc": "machine example.com login a password b\n",
			"git/known_hosts": "example.com ssh-ed25519 AAAA\n", "git/gitconfig": "[user]\n", "site-config.jsonc": "{} // none\n", "secrets/license": "k3y\n", "secrets/smtp": "password\n", "services.d/unused": "",
		} {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600))
		}
		block = strings.ReplaceAll(block, "needs: [gitserver]", "needs: []") // checked with no release
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(block), 0o644))
		var out, said strings.Builder
		code := runLine([]string{"sourcegraph", "--data", dir + "/data", "--config", dir + "/appliance.yaml", "config", "check", "--release", "none"}, &out, &said)
		require.Zero(t, code, "%s\n%s%s", block, &out, &said)
	}
}
