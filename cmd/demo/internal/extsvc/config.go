package extsvc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// Kind is the only kind of code host that the demo has.
const Kind = "OTHER"

// maxRepos of one code host.
const maxRepos = 100_000

// Repo is one repository of a code host.
type Repo struct {
	Name     string // host/path without .git, or the path alone for file://
	CloneURL string // what git gets; may hold a password
}

type config struct {
	URL   string   `json:"url,omitempty"`
	Repos []string `json:"repos"`
}

// Parse gives the repositories of a configuration, in its order and each once. The error names the key and the value.
func Parse(text string) ([]Repo, error) {
	c, err := decode(text)
	if err != nil {
		return nil, err
	}
	if len(c.Repos) == 0 {
		return nil, fmt.Errorf(`configuration: repos is empty; want paths below url, such as "repos": ["team/project"]`)
	}
	if len(c.Repos) > maxRepos {
		return nil, fmt.Errorf("configuration: %d repos, at most %d are possible", len(c.Repos), maxRepos)
	}
	var repos []Repo
	seen := map[string]bool{}
	for i, path := range c.Repos {
		r, err := repo(c.URL, path)
		if err != nil {
			return nil, fmt.Errorf("configuration: repos[%d]: %w", i, err)
		}
		if !seen[r.Name] {
			seen[r.Name] = true
			repos = append(repos, r)
		}
	}
	return repos, nil
}

func decode(text string) (config, error) {
	var c config
	standard, err := hujson.Standardize([]byte(text))
	if err != nil {
		return c, fmt.Errorf("configuration: not JSON: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(standard))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf(`configuration: %w; want {"url": "…", "repos": ["…"]}`, err)
	}
	return c, nil
}

func repo(base, path string) (Repo, error) {
	u, err := join(base, path)
	if err != nil {
		return Repo{}, err
	}
	name := strings.Trim(u.Hostname()+"/"+strings.Trim(u.Path, "/"), "/")
	name = strings.TrimSuffix(strings.TrimSuffix(name, "/.git"), ".git")
	if name == "" || name == u.Hostname() {
		return Repo{}, fmt.Errorf("%s names a host and no repository", u.Redacted())
	}
	return Repo{Name: name, CloneURL: u.String()}, nil
}

func join(base, path string) (*url.URL, error) {
	if base == "" {
		return parse(path)
	}
	u, err := parse(base)
	if err != nil || path == "" {
		return u, err
	}
	return u.JoinPath(path), nil
}

// parse reads a URL, or the form git@host:path of ssh. Values are quoted in errors only where they cannot hold a password.
func parse(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		host, path, ok := strings.Cut(text, ":")
		if !ok || strings.ContainsAny(host, "/ ") || path == "" || path[0] == ':' {
			return nil, fmt.Errorf("%q is no URL; want one such as https://host/path", text)
		}
		text = "ssh://" + host + "/" + strings.TrimPrefix(path, "/")
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("a URL that cannot be read: %w", stripURL(err))
	}
	if !slices.Contains([]string{"file", "http", "https", "ssh", "git"}, u.Scheme) {
		return nil, fmt.Errorf("%s: scheme %q; want file, http, https, ssh or git", u.Redacted(), u.Scheme)
	}
	if u.Host == "" && u.Scheme != "file" {
		return nil, fmt.Errorf("%s names no host", u.Redacted())
	}
	if strings.HasPrefix(u.Host, "-") || strings.HasPrefix(u.User.Username(), "-") {
		return nil, fmt.Errorf("%s: neither user nor host can begin with -", u.Redacted())
	}
	return u, nil
}

// stripURL drops the URL, password included, that net/url puts into its errors.
func stripURL(err error) error {
	if e, ok := err.(*url.Error); ok {
		return e.Err
	}
	return err
}

// Redact gives a clone URL without its password.
func Redact(cloneURL string) string {
	u, err := url.Parse(cloneURL)
	if err != nil {
		return "(redacted)"
	}
	return u.Redacted()
}

// Without gives a configuration without the repository of that clone URL, or nothing when no other is left. Comments are lost.
func Without(text, cloneURL string) (string, error) {
	c, err := decode(text)
	if err != nil {
		return "", err
	}
	c.Repos = slices.DeleteFunc(c.Repos, func(path string) bool {
		r, err := repo(c.URL, path)
		return err == nil && r.CloneURL == cloneURL
	})
	if len(c.Repos) == 0 {
		return "", nil
	}
	edited, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return "", fmt.Errorf("write the configuration: %w", err)
	}
	return string(edited), nil
}
