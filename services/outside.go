package services

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Outside is how the services that call out reach what is not on this machine. Only those whose definition has [Definition.Outbound] are told.
type Outside struct {
	Proxy   Proxy
	CA      []Source // all certificates to trust; empty: the system's
	Git     GitFiles
	Offline bool // the destinations' switches are thrown
}

// Proxy is the site's way to the web. The tags are those of supervisor/roster/keys.
type Proxy struct {
	HTTP           string   `yaml:"http,omitempty" json:"http,omitempty" doc:"the proxy to http:// addresses" example:"http://proxy.example.com:3128" unset:"none" pattern:"^(https?|socks5)://[^/?#@{}]+/?$" wants:"a URL such as http://proxy.example.com:3128; user and password have keys of their own"`
	HTTPS          string   `yaml:"https,omitempty" json:"https,omitempty" doc:"the proxy to https:// addresses" example:"http://proxy.example.com:3128" unset:"none" pattern:"^(https?|socks5)://[^/?#@{}]+/?$" wants:"a URL such as http://proxy.example.com:3128; user and password have keys of their own"`
	User           string   `yaml:"user,omitempty" json:"user,omitempty" doc:"who signs in to both" example:"sg" unset:"nobody" pattern:"^[^{}\\s]+$" wants:"a name without spaces and braces"`
	PasswordSecret string   `yaml:"password_secret,omitempty" json:"password_secret,omitempty" doc:"the file in secrets/ that holds the password" example:"proxy" unset:"none is given" pattern:"^[A-Za-z0-9._-]+$" wants:"a name of a file in secrets/"`
	NoProxy        []string `yaml:"no_proxy,omitempty" json:"no_proxy,omitempty" doc:"hosts, domains with a dot before them, addresses and networks that are reached without it; this machine always is" example:"[.example.com, 10.0.0.0/8]" unique:"true" pattern:"^[^,{}\\s/@]+(/[0-9]+)?$" wants:"a host, .domain, address or network, one an entry"`
}

// Check refuses who signs in to nothing.
func (p *Proxy) Check(given func(string) bool, fault func(key, text string)) {
	if !given("http") && !given("https") {
		fault("", "needs http or https, the proxy's address")
	}
	if given("password_secret") && !given("user") {
		fault("password_secret", "needs user, too")
	}
}

// GitFiles are what git signs in to code hosts with; a source without a path is none.
type GitFiles struct{ SSHKey, KnownHosts, Netrc, Config Source }

// Destination is something outside this machine that a service calls.
type Destination struct {
	To   string // a host, or what kind of host
	What string // what for
	Off  string // what keeps it from doing so
	// Env are variables that do so while the site is offline.
	Env map[string]string
	In  []Releases // empty: all that the service is in
}

// apply tells a service that calls out how to. What the site says of the service itself wins.
func (x Outside) apply(d Definition) Definition {
	if d.Kind == KindExternal || len(d.Outbound) == 0 {
		return d
	}
	d.Env = maps.Clone(d.Env)
	if d.Env == nil {
		d.Env = map[string]string{}
	}
	maps.Copy(d.Env, x.Proxy.env())
	if x.Offline {
		for _, to := range d.Outbound {
			maps.Copy(d.Env, to.Env)
		}
	}
	d.Files = slices.Concat(d.Files, x.trust(d.Env))
	if d.Name == "gitserver" {
		d.Files = slices.Concat(d.Files, x.Git.files())
	}
	return d
}

// trust writes the certificates, and names them to Go and to git, which each have a variable that replaces the system's.
// src: Go: crypto/x509/root_unix.go (SSL_CERT_FILE); git-config(1), http.sslCAInfo (GIT_SSL_CAINFO)
func (x Outside) trust(env map[string]string) []File {
	if len(x.CA) == 0 {
		return nil
	}
	const path = "{{ .Run }}/ca.pem"
	env["SSL_CERT_FILE"], env["GIT_SSL_CAINFO"] = path, path
	return []File{{Path: path, Mode: 0o600, From: x.CA}}
}

// env is both spellings of each: curl, and with it git, takes HTTP_PROXY in small letters only. src: curl(1), "ENVIRONMENT"
func (p Proxy) env() map[string]string {
	env := map[string]string{}
	for name, address := range map[string]string{"HTTP_PROXY": p.HTTP, "HTTPS_PROXY": p.HTTPS} {
		if address != "" {
			env[name] = p.login(address)
			env["NO_PROXY"] = strings.Join(append([]string{direct}, p.NoProxy...), ",")
		}
	}
	for name, value := range maps.Clone(env) {
		env[strings.ToLower(name)] = value
	}
	return env
}

// login puts who signs in into the address, the password by reference.
func (p Proxy) login(address string) string {
	if p.User == "" {
		return address
	}
	who := url.User(p.User).String()
	if p.PasswordSecret != "" {
		who += ":" + SecretURLRef(p.PasswordSecret)
	}
	scheme, host, _ := strings.Cut(address, "://")
	return scheme + "://" + who + "@" + host
}

// files are where ssh, curl and git look for them: in the home of who runs them. ssh takes a key of any kind by this name.
// src: sourcegraph: cmd/server/shared @3.38 (ssh/, netrc, gitconfig); ssh(1), netrc of curl(1), git-config(1)
func (g GitFiles) files() (out []File) {
	for _, f := range []struct {
		path string
		from Source
	}{{".ssh/id_rsa", g.SSHKey}, {".ssh/known_hosts", g.KnownHosts}, {".netrc", g.Netrc}, {".gitconfig", g.Config}} {
		if f.from.Path != "" {
			out = append(out, File{Path: "{{ .Home }}/" + f.path, Mode: 0o600, From: []Source{f.from}})
		}
	}
	return out
}
