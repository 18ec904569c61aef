package gitserver

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// remote is a clone URL taken apart: what git's command line may show, and what it may not.
type remote struct {
	url      string // without user and password, except the user of ssh
	username string
	password string
}

// schemes git may use. ext:: and other helpers run commands and are left out.
func schemes() []string { return []string{"file", "git", "http", "https", "ssh"} }

// parseRemote takes a clone URL. The error shows it without its credentials.
func parseRemote(text string) (remote, error) {
	if strings.HasPrefix(text, "-") || strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == ' ' }) {
		return remote{}, invalid("clone URL %q cannot be: it starts with a dash, or has a space or a control character in it", redactURLs(text))
	}
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes(), u.Scheme) || u.Opaque != "" {
		return remote{}, &Error{Code: ErrInvalid, Text: "clone URL " + redactURLs(text) + " is of no kind that is allowed here",
			Remedy: "use file:///path, https://host/path, http://…, ssh://user@host/path or git://host/path"}
	}
	if err := checkPlace(u); err != nil {
		return remote{}, err
	}
	return split(u)
}

// checkPlace wants a host where there is one, and an absolute path on this machine for file.
func checkPlace(u *url.URL) error {
	switch {
	case u.Scheme == "file" && (u.Host != "" || !filepath.IsAbs(u.Path) || u.User != nil):
		return invalid("clone URL %s: want file:// and an absolute path", redactURLs(u.String()))
	case u.Scheme != "file" && (u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "-")):
		return invalid("clone URL %s has no host that can be", redactURLs(u.String()))
	case strings.HasPrefix(u.User.Username(), "-"):
		return invalid("clone URL %s: the user starts with a dash", redactURLs(u.String()))
	}
	return nil
}

func split(u *url.URL) (remote, error) {
	password, has := u.User.Password()
	switch u.Scheme {
	case "ssh":
		if has {
			return remote{}, &Error{Code: ErrInvalid, Text: "clone URL " + redactURLs(u.String()) + " has a password, which ssh does not take",
				Remedy: "put a key into .ssh of gitserver's home"}
		}
		return remote{url: u.String()}, nil
	case "http", "https":
		clean := *u
		clean.User = nil
		return remote{url: clean.String(), username: u.User.Username(), password: password}, nil
	default:
		return remote{url: u.String()}, nil
	}
}

// env gives git the credentials, for this host only: they do not follow a redirect to another one. Nothing secret is on a command line:
// sh gets the helper's text, and the values stay in variables.
func (r remote) env() []string {
	if r.username == "" && r.password == "" {
		return nil
	}
	u, err := url.Parse(r.url)
	if err != nil {
		return nil // it was parsed before
	}
	key := "credential." + u.Scheme + "://" + u.Host + ".helper"
	const helper = `!f() { test "$1" != get || printf 'username=%s\npassword=%s\n' "$GITSERVER_USERNAME" "$GITSERVER_PASSWORD"; }; f`
	return []string{
		"GIT_CONFIG_COUNT=2",
		"GIT_CONFIG_KEY_0=" + key, "GIT_CONFIG_VALUE_0=", // forget the helpers of the operator's own configuration
		"GIT_CONFIG_KEY_1=" + key, "GIT_CONFIG_VALUE_1=" + helper,
		"GITSERVER_USERNAME=" + r.username, "GITSERVER_PASSWORD=" + r.password,
	}
}
