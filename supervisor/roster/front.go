package roster

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// Front is the front door as the site wants it: where it listens, and the product's one address.
type Front struct {
	URL       *url.URL // nil: any address is right
	Listeners []FrontListener
}

// FrontListener is one address of the front door.
type FrontListener struct {
	Address string // host:port
	TLS     bool
}

// Front resolves url, listen, tls, acme and trusted_proxies together; fallback is where to listen if the site does not say.
func (s Site) Front(fallback string) (Front, error) {
	var f Front
	if s.URL != "" {
		u, err := keys.ParseURL(string(s.URL))
		if err != nil {
			return f, invalid(fmt.Errorf("url: %w", err), "write the product's one address, such as url: https://code.example.com")
		}
		f.URL = u
	}
	if err := s.checkTLS(f.URL); err != nil {
		return f, err
	}
	listen := s.Listen
	if len(listen) == 0 {
		listen = s.listenFor(f.URL, fallback)
	}
	for _, text := range listen {
		l, err := s.listener(text)
		if err != nil {
			return f, invalid(err, "write host:port; http:// or https:// before it says what is spoken there")
		}
		if slices.ContainsFunc(f.Listeners, func(other FrontListener) bool { return other.Address == l.Address }) {
			return f, invalid(fmt.Errorf("listen names %s twice", l.Address), "write each address once")
		}
		f.Listeners = append(f.Listeners, l)
	}
	if s.speaksTLS() && !slices.ContainsFunc(f.Listeners, func(l FrontListener) bool { return l.TLS }) {
		return f, invalid(errors.New("there is a certificate, and no address of listen speaks TLS"), "add one to listen, such as https://:443")
	}
	return f, nil
}

func (s Site) speaksTLS() bool { return s.TLS.Cert != "" || s.ACME != nil }

// letsEncrypt is the authority when the site names none. src: https://letsencrypt.org/docs/acme-protocol-updates
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// checkTLS refuses what cannot be meant, such as https without anything that could speak it.
func (s Site) checkTLS(u *url.URL) error {
	switch {
	case s.TLS.Cert != "" && s.ACME != nil:
		return invalid(errors.New("both tls and acme say where the certificate comes from"), "remove one of the two")
	case s.ACME != nil && u == nil:
		return invalid(errors.New("acme needs url: it names the host that the certificate is for"), "add url: https://HOST")
	case u == nil:
		return nil
	case u.Scheme == "http" && s.speaksTLS():
		return invalid(fmt.Errorf("url is %s, in clear, and there is a certificate", u), "write url: https://"+u.Hostname()+", or remove tls and acme")
	case u.Scheme == "https" && !s.speaksTLS() && len(s.TrustedProxies) == 0:
		return invalid(fmt.Errorf("url is %s, and nothing says who speaks TLS", u),
			"add tls: {cert: FILE, key: FILE}, or acme: {accept_terms: true}, or, with a proxy of yours before the appliance, its address to trusted_proxies")
	case s.ACME != nil && s.Offline && s.ACME.Directory == letsEncrypt:
		return invalid(errors.New("acme asks Let's Encrypt, and offline is true"), "use acme.directory of an authority in your network, or tls with files of your own")
	case s.ACME != nil:
		return s.ACME.check(u.Hostname())
	}
	return nil
}

func (a *ACME) check(host string) error {
	if !a.AcceptTerms {
		return invalid(errors.New("acme.accept_terms is not true"),
			"read the terms of the authority (of Let's Encrypt: https://letsencrypt.org/repository/); acme: {accept_terms: true} says that you agree")
	}
	_, err := netip.ParseAddr(host)
	if a.Directory == letsEncrypt && (err == nil || !strings.Contains(host, ".") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".internal")) {
		return invalid(fmt.Errorf("no certificate for %q can be had from Let's Encrypt", host), "use a public host name, tls with files of your own, or acme.directory of a private authority")
	}
	return nil
}

// listenFor is where a url leads to: its port on every interface, with port 80 beside 443 for who types no scheme. Behind a proxy, and without a url, it is the fallback.
func (s Site) listenFor(u *url.URL, fallback string) []keys.Listener {
	if u == nil || u.Scheme == "https" && !s.speaksTLS() {
		return []keys.Listener{keys.Listener(fallback)}
	}
	host, port := "", u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || err == nil && ip.IsLoopback() {
		host = u.Hostname() // nobody else is to reach it
	}
	out := []keys.Listener{keys.Listener(u.Scheme + "://" + net.JoinHostPort(host, port))}
	if port == "443" {
		out = append(out, keys.Listener("http://"+net.JoinHostPort(host, "80")))
	}
	return out
}

// listener reads [SCHEME://]HOST:PORT. Without a scheme it is TLS if there is a certificate, but for port 80.
func (s Site) listener(entry keys.Listener) (FrontListener, error) {
	scheme, address, port, err := entry.Split()
	if err != nil {
		return FrontListener{}, fmt.Errorf("listen: %w", err)
	}
	if scheme == "https" && !s.speaksTLS() {
		return FrontListener{}, fmt.Errorf("listen: %q is to speak TLS, and neither tls nor acme is set", entry)
	}
	return FrontListener{address, scheme == "https" || scheme == "" && s.speaksTLS() && port != 80}, nil
}

// Public says whether others than this machine can reach the product: whoever comes first must not own it.
func (s Site) Public(f Front) bool {
	if len(s.TrustedProxies) > 0 || f.URL != nil && !isLoopback(f.URL.Hostname()) {
		return true
	}
	return slices.ContainsFunc(f.Listeners, func(l FrontListener) bool {
		host, _, err := net.SplitHostPort(l.Address)
		return err != nil || !isLoopback(host)
	})
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
