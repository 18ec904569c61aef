package gitserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// gitConfig is git's whole "global" configuration. The operator's own is read first, so that proxies and certificates work; what must hold comes after.
//
// safe.directory has to be here and not on the command line: git starts the other side of file:// without its -c options, and the repository there
// belongs to somebody else.
const gitConfig = `# Written by gitserver at each start.
[include]
	path = ~/.gitconfig
[include]
	path = ~/.config/git/config
[safe]
	directory = *
[core]
	hooksPath = /dev/null
	fsmonitor = false
	autocrlf = false
[gc]
	auto = 0
[maintenance]
	auto = false
[fetch]
	recurseSubmodules = false
[submodule]
	recurse = false
[init]
	defaultBranch = main
[http]
	lowSpeedLimit = 1000
	lowSpeedTime = 60
[protocol]
	allow = never
[protocol "file"]
	allow = always
[protocol "git"]
	allow = always
[protocol "http"]
	allow = always
[protocol "https"]
	allow = always
[protocol "ssh"]
	allow = always
`

// attributes go into every clone: they outrank the .gitattributes of the repository, so that an archive holds every file as it was committed.
const attributes = "* -export-ignore -export-subst -text -ident -filter -working-tree-encoding\n"

// sshCommand never asks. An unknown host is remembered at first sight, a changed one refused.
const sshCommand = "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ConnectTimeout=30 -o ServerAliveInterval=15 -o ServerAliveCountMax=4"

// passedOn are the variables of ours that git may see.
func passedOn() []string {
	return []string{"PATH", "HOME", "TMPDIR", "LD_PRELOAD", "NSS_WRAPPER_PASSWD", "NSS_WRAPPER_GROUP",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"}
}

// environment is all that a git process gets to see.
func environment(configFile string, lookup func(string) (string, bool)) []string {
	env := []string{
		"GIT_CONFIG_GLOBAL=" + configFile,
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=true",
		"SSH_ASKPASS=true",
		"GIT_SSH_COMMAND=" + sshCommand,
		"GIT_ALLOW_PROTOCOL=" + strings.Join(schemes(), ":"),
		"GIT_LITERAL_PATHSPECS=1",
		"GIT_OPTIONAL_LOCKS=0",
		"LC_ALL=C", // we read git's messages
	}
	for _, name := range passedOn() {
		if value, ok := lookup(name); ok {
			env = append(env, name+"="+value)
		}
	}
	if home, _ := lookup("HOME"); home == "" {
		env = append(env, "HOME="+filepath.Dir(configFile)) // git refuses a configuration with a ~ in it without one
	}
	return env
}

// writeGitConfig puts git's configuration into dir and gives its path.
func writeGitConfig(dir string) (string, error) {
	path := filepath.Join(dir, "gitconfig")
	if err := os.WriteFile(path+".new", []byte(gitConfig), 0o600); err != nil {
		return "", fmt.Errorf("write git's configuration: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return "", fmt.Errorf("write git's configuration: %w", err)
	}
	return path, nil
}
