package keys

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// URL is scheme://host[:port] of a site that has a whole host name for itself.
type URL string

// Notation says how it is written.
func (*URL) Notation() (what, example, pattern string) {
	return "an address of the web", "https://code.example.com", `^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+/?$`
}

// UnmarshalText reads it.
func (u *URL) UnmarshalText(content []byte) error {
	parsed, err := ParseURL(string(content))
	if err == nil {
		*u = URL(parsed.String())
	}
	return err
}

// ParseURL reads what a [URL] is.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%q is no URL", text)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q begins with neither https:// nor http://", text)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host", text)
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.Fragment != "", u.User != nil:
		return nil, fmt.Errorf("%q has more than scheme, host and port: the product cannot be below a path", text)
	}
	if err := checkHost(u.Hostname()); err != nil {
		return nil, fmt.Errorf("%q: %w", text, err)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("%q: port %s is outside 1..%d", text, port, 65535)
		}
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}, nil
}

func checkHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	for _, c := range strings.ToLower(host) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return fmt.Errorf("the host name has the character %q; write a name with other letters as xn--…", c)
		}
	}
	return nil
}

// Listener is where to listen: host:port, and perhaps http:// or https:// before it.
type Listener string

// Notation says how it is written.
func (*Listener) Notation() (what, example, pattern string) {
	what, example, pattern = (*Address)(nil).Notation()
	return what, example, "^(https?://)?" + strings.TrimPrefix(pattern, "^")
}

// UnmarshalText reads it.
func (l *Listener) UnmarshalText(content []byte) error {
	_, _, _, err := Listener(content).Split()
	if err == nil {
		*l = Listener(content)
	}
	return err
}

// Split returns its parts; without a scheme, that is empty.
func (l Listener) Split() (scheme, address string, port int, err error) {
	scheme, address, said := strings.Cut(string(l), "://")
	if !said {
		scheme, address = "", string(l)
	}
	if said && scheme != "http" && scheme != "https" {
		return "", "", 0, fmt.Errorf("%q begins with neither http:// nor https://", l)
	}
	_, port, err = SplitAddress(address)
	return scheme, address, port, err
}
