package roster

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// Git names the files that git signs in with.
type Git struct {
	SSHKey     keys.File `yaml:"ssh_key,omitempty" json:"ssh_key,omitempty" doc:"the private key for ssh, without a passphrase" example:"secrets/git-key" unset:"gitserver's home is left as it is"`
	KnownHosts keys.File `yaml:"known_hosts,omitempty" json:"known_hosts,omitempty" doc:"keys of the hosts that ssh trusts" example:"git/known_hosts" unset:"gitserver's home is left as it is"`
	Netrc      keys.File `yaml:"netrc,omitempty" json:"netrc,omitempty" doc:"users and passwords by host for https" example:"secrets/netrc" unset:"gitserver's home is left as it is"`
	Config     keys.File `yaml:"config,omitempty" json:"config,omitempty" doc:"git's own configuration" example:"git/gitconfig" unset:"gitserver's home is left as it is"`
}

// bundles are where distributions keep all certificates in one file. src: Go: crypto/x509/root_linux.go
func bundles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
	}
}

// maxSource bounds a file that is copied to a service, in bytes: a system's certificates are a quarter of this.
const maxSource = 1 << 20

// outside resolves how services reach what is not on this machine.
func (s Site) outside() (services.Outside, error) {
	out := services.Outside{Proxy: s.Proxy, Offline: s.Offline}
	if s.CACertificates != "" {
		own, err := source("ca_certificates", s.CACertificates, checkCertificates)
		if err != nil {
			return out, err
		}
		out.CA = append(systemBundle(), own)
	}
	for _, f := range []struct {
		key   string
		file  keys.File
		check func(string) error
		to    *services.Source
	}{
		{"git.ssh_key", s.Git.SSHKey, checkSSHKey, &out.Git.SSHKey}, {"git.known_hosts", s.Git.KnownHosts, nil, &out.Git.KnownHosts},
		{"git.netrc", s.Git.Netrc, nil, &out.Git.Netrc}, {"git.config", s.Git.Config, nil, &out.Git.Config},
	} {
		var err error
		if *f.to, err = source(f.key, f.file, f.check); err != nil {
			return out, err
		}
	}
	return out, nil
}

// source is a file of the site as it is now; none for none.
func source(key string, file keys.File, check func(content string) error) (services.Source, error) {
	if file == "" {
		return services.Source{}, nil
	}
	info, err := os.Stat(string(file))
	content := ""
	if err == nil {
		content, err = ReadSource(string(file))
	}
	if err == nil && check != nil {
		err = check(content)
	}
	if err != nil {
		return services.Source{}, invalid(fmt.Errorf("%s: %w", key, err), "name a file with what "+key+" is for")
	}
	return services.Source{Path: string(file), Stamp: fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano())}, nil
}

// ReadSource reads a file that is copied to a service. It ends with a newline: ssh takes no key without, and another may follow.
func ReadSource(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSource+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read %s: %w", path, err)
	case len(content) > maxSource:
		return "", fmt.Errorf("%s is larger than 1MiB", path)
	case len(content) > 0 && content[len(content)-1] != '\n':
		content = append(content, '\n')
	}
	return string(content), nil
}

func systemBundle() []services.Source {
	for _, path := range bundles() {
		if here, err := exists(path); here && err == nil {
			return []services.Source{{Path: path}} // no stamp: its update restarts nobody
		}
	}
	return nil
}

// checkCertificates refuses what Go and git would pass over in silence.
func checkCertificates(content string) error {
	found := false
	for rest := []byte(content); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("there is a %s in it, which services must not see", block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("a certificate in it cannot be read: %w", err)
		}
		found = true
	}
	if !found {
		return errors.New("there is no certificate in it; PEM begins with -----BEGIN CERTIFICATE-----")
	}
	return nil
}

// checkSSHKey refuses what is no key, and a key that ssh would have to ask a passphrase for. src: openssh-portable: PROTOCOL.key
func checkSSHKey(content string) error {
	block, _ := pem.Decode([]byte(content))
	if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return errors.New("there is no private key in it; such a file begins with -----BEGIN OPENSSH PRIVATE KEY-----")
	}
	const magic = "openssh-key-v1\x00"
	open := strings.HasPrefix(string(block.Bytes), magic+"\x00\x00\x00\x04none")
	if block.Type == "OPENSSH PRIVATE KEY" && !open || strings.HasPrefix(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
		return errors.New("the key has a passphrase, and nobody is there to type it; ssh-keygen -p -f FILE takes it away")
	}
	return nil
}
