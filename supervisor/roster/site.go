package roster

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sourcegraph/appliance/services"
)

// Site is what the site's file says of the appliance as a whole; a zero value means that it says nothing.
type Site struct {
	Listen         string         `json:"listen,omitempty"` // host:port of the front door
	TLS            TLS            `json:"tls,omitzero"`
	TrustedProxies []netip.Prefix `json:"trusted_proxies,omitempty"`
	Metrics        Metrics        `json:"metrics,omitzero"`
	StopTimeout    time.Duration  `json:"stop_timeout,omitempty"` // nanoseconds in JSON
	Log            SiteLog        `json:"log,omitzero"`

	services map[string]services.Override
}

// TLS names the front door's certificate and key, absolute; both or none.
type TLS struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// Metrics opens /metrics on TCP.
type Metrics struct {
	Listen string `json:"listen"`
}

// SiteLog is about the services' output.
type SiteLog struct {
	Stdout *bool `json:"stdout,omitempty"` // as --log-stdout; nil: not said
}

// config is everything that the site's files say.
type config struct {
	site     Site
	dropIns  []services.Definition
	services []*service // in order of reading, for faults that show late
	warnings []string
}

// site reads the top level of appliance.yaml.
func (r *reader) site(top *yaml.Node, c *config) {
	order := []string{"listen", "tls", "trusted_proxies", "metrics", "stop_timeout", "log", "services"}
	s := &c.site
	r.mapping(top, "the file", order, map[string]field{
		"listen":          func(n *yaml.Node) { s.Listen = r.address(n, "listen") },
		"tls":             func(n *yaml.Node) { s.TLS = r.tls(n) },
		"trusted_proxies": func(n *yaml.Node) { s.TrustedProxies = r.prefixes(n, "trusted_proxies") },
		"metrics": func(n *yaml.Node) {
			r.mapping(n, "metrics", []string{"listen"}, map[string]field{
				"listen": func(n *yaml.Node) { s.Metrics.Listen = r.address(n, "metrics.listen") },
			})
		},
		"stop_timeout": func(n *yaml.Node) { s.StopTimeout, _ = r.duration(n, "stop_timeout", time.Second, maxDuration) },
		"log": func(n *yaml.Node) {
			r.mapping(n, "log", []string{"stdout"}, map[string]field{
				"stdout": func(n *yaml.Node) { s.Log.Stdout = optional(r.boolean(n, "log.stdout")) },
			})
		},
		"services": func(n *yaml.Node) {
			s.services = map[string]services.Override{}
			r.eachKey(n, "services", func(key, value *yaml.Node) {
				one := r.service(key.Value, key, value)
				s.services[key.Value] = one.out
				c.services = append(c.services, one)
			})
		},
	})
}

// address reads host:port; an empty host means all interfaces.
func (r *reader) address(n *yaml.Node, what string) string {
	text, ok := r.text(n, what)
	if !ok {
		return ""
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		r.at(n, "%s: %q is no address; write host:port, such as 127.0.0.1:7080 or :7080", what, text)
		return ""
	}
	if number, err := strconv.Atoi(port); err != nil || number < 0 || number > maxPort {
		r.at(n, "%s: port %q is outside 0..%d", what, port, maxPort)
		return ""
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" && host != "localhost" {
		r.at(n, "%s: %q is no IP address of this machine", what, host)
		return ""
	}
	return text
}

func (r *reader) tls(n *yaml.Node) TLS {
	var out TLS
	r.mapping(n, "tls", []string{"cert", "key"}, map[string]field{
		"cert": func(n *yaml.Node) { out.Cert = r.existing(n, "tls.cert") },
		"key":  func(n *yaml.Node) { out.Key = r.existing(n, "tls.key") },
	})
	if n.Kind == yaml.MappingNode && len(r.faults) == 0 && (out.Cert == "") != (out.Key == "") {
		r.at(n, "tls needs both cert and key")
	}
	return out
}

// existing reads the path of a file; a relative one is meant from the directory of the file that names it.
func (r *reader) existing(n *yaml.Node, what string) string {
	path, ok := r.text(n, what)
	if !ok {
		return ""
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(r.file), path)
	}
	f, err := os.Open(path)
	if err != nil {
		r.at(n, "%s: %v", what, err)
		return ""
	}
	f.Close()
	return path
}

func (r *reader) prefixes(n *yaml.Node, what string) []netip.Prefix {
	var out []netip.Prefix
	r.eachItem(n, what, func(item *yaml.Node) {
		text, ok := r.text(item, "an entry of "+what)
		if !ok {
			return
		}
		prefix, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			r.at(item, "%s: %q is neither an IP address nor a network such as 10.0.0.0/8", what, text)
			return
		}
		out = append(out, prefix.Masked())
	})
	return out
}
