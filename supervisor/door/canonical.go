package door

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
)

// canonical is the product's one address, [State.ExternalURL], in the forms in which requests name it.
type canonical struct {
	url   string // without a slash at the end
	tls   bool
	hosts [2][]byte // as in a Host field: the second is with, or the same without, the scheme's own port
}

// newCanonical returns nil for an address that nothing is to be sent to.
func newCanonical(s State) *canonical {
	u, err := url.Parse(s.ExternalURL)
	if !s.Redirect || err != nil || u.Host == "" {
		return nil
	}
	c := &canonical{url: u.Scheme + "://" + u.Host, tls: u.Scheme == "https", hosts: [2][]byte{[]byte(u.Host), []byte(u.Host)}}
	port := ":80"
	if c.tls {
		port = ":443"
	}
	if without, ok := strings.CutSuffix(u.Host, port); ok {
		c.hosts[1], c.url = []byte(without), u.Scheme+"://"+without
	} else if u.Port() == "" {
		c.hosts[1] = []byte(u.Host + port)
	}
	return c
}

// place is where a request says that it came to.
type place struct{ tls, host bool }

// at compares a request with the canonical address. Of a trusted proxy only what it says of its own client counts: its connection to us may be in clear, and name any host.
func (c *canonical) at(p peer, trusted bool, host, proto, forwardedHost []byte) place {
	if !trusted {
		return place{p.tls == c.tls, c.names(host)}
	}
	here := place{true, true}
	if proto = firstOf(proto); len(proto) > 0 {
		here.tls = equalFold(proto, "https") == c.tls
	}
	if forwardedHost = firstOf(forwardedHost); len(forwardedHost) > 0 {
		here.host = c.names(forwardedHost)
	}
	return here
}

func (c *canonical) names(host []byte) bool {
	return bytes.EqualFold(host, c.hosts[0]) || bytes.EqualFold(host, c.hosts[1])
}

// firstOf is the first entry of a list: what the proxy nearest to the client said.
func firstOf(list []byte) []byte {
	first, _, _ := bytes.Cut(list, []byte{','})
	return bytes.Trim(first, " \t")
}

// atHome says whether the request may be served as it is; it does not allocate.
func (h *requestHead) atHome(c *canonical, p peer, trusted bool) bool {
	if c == nil {
		return true
	}
	var proto, host []byte
	for i := range h.fields {
		switch f := &h.fields[i]; f.kind {
		case forwardedProto:
			proto = f.value
		case forwardedHost:
			host = f.value
		}
	}
	return c.at(p, trusted, h.host, proto, host) == place{true, true}
}

// challengePrefix is where a certificate authority looks, in clear (RFC 8555 section 8.3).
const challengePrefix = "/.well-known/acme-challenge/"

func challengePath(target []byte) bool { return bytes.HasPrefix(target, []byte(challengePrefix)) }

// redirectFor is how long a browser may remember a redirect: a permanent one without a term would outlive a url that was set wrongly.
const redirectFor = "max-age=3600"

// sendHome answers a request that came to another address than the canonical one, and says whether it did. A request that changes something
// is not redirected: it has travelled already. In clear it is refused, so that nobody gets used to sending passwords so; to another name it is served.
func (h *handler) sendHome(w http.ResponseWriter, r *http.Request, v *view) bool {
	c := v.canonical
	if c == nil || challengePath([]byte(r.URL.Path)) {
		return false
	}
	p := peerOf(r)
	trusted := v.trusts(p.addr)
	here := c.at(p, trusted, []byte(r.Host), []byte(r.Header.Get("X-Forwarded-Proto")), []byte(r.Header.Get("X-Forwarded-Host")))
	switch clear := c.tls && !here.tls; {
	case here == place{true, true}:
		return false
	case clear && !trusted && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"):
		refuseProxy(w, r, p)
	case clear && v.servesTLS() && !h.door.certs.usable():
		h.door.unavailable(w, r, http.StatusServiceUnavailable, "The certificate for "+c.url+" is not there yet. On the machine of the appliance, sourcegraph status says why.")
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		w.Header().Set("Cache-Control", redirectFor)
		http.Redirect(w, r, c.url+r.URL.RequestURI(), http.StatusPermanentRedirect)
	case clear:
		writeJSON(w, http.StatusForbidden, fault{Error: "requests that change something are not taken in clear", Remedy: "send them to " + c.url})
	default:
		return false
	}
	return true
}

// refuseProxy ends what would be an endless redirect: a proxy that speaks TLS with its clients, and that nobody told us to trust.
func refuseProxy(w http.ResponseWriter, r *http.Request, p peer) {
	reason := "This request came in clear from " + p.addr.String() + ", which says that its client used https, and which is no trusted proxy."
	remedy := "In appliance.yaml, add " + p.addr.String() + " to trusted_proxies; then: sourcegraph reload"
	if wantsHTML(r) {
		writePage(w, r, http.StatusMisdirectedRequest, page{Title: "Proxy not trusted", Lead: reason, More: remedy})
		return
	}
	writeJSON(w, http.StatusMisdirectedRequest, fault{Error: reason, Remedy: remedy})
}
