package door

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// peer is who is at the other end of a client's connection, as the backend is told.
type peer struct {
	addr netip.Addr
	tls  bool
}

func newPeer(a net.Addr, tls bool) peer {
	t, _ := a.(*net.TCPAddr)
	if t == nil {
		return peer{tls: tls}
	}
	return peer{addr: t.AddrPort().Addr().Unmap().WithZone(""), tls: tls}
}

func (p peer) scheme() string {
	if p.tls {
		return "https"
	}
	return "http"
}

// append writes the head for the backend: hop-by-hop fields dropped, forwarded fields replaced, or extended if we trust the peer.
func (h *requestHead) append(out []byte, p peer, trusted bool) []byte {
	out = append(out, h.method...)
	out = append(out, ' ')
	out = append(out, h.target...)
	out = append(out, " HTTP/1.1\r\n"...)
	var chain, chain7239 []byte // what proxies before us said
	var gotProto, gotHost, gotIP bool
	for i := range h.fields {
		f := &h.fields[i]
		switch f.kind {
		case plain, hostField, lengthField, expectField:
		case forwardField, forwardedFor, forwardedProto, forwardedHost, forwarded, realIP:
			if !trusted {
				continue
			}
			switch f.kind {
			case forwardedFor:
				chain = joinList(chain, f.value)
				continue
			case forwarded:
				chain7239 = joinList(chain7239, f.value)
				continue
			case forwardedProto:
				gotProto = true
			case forwardedHost:
				gotHost = true
			case realIP:
				gotIP = true
			}
		default:
			continue
		}
		out = appendField(out, f.name, f.value)
	}
	out = append(out, "X-Forwarded-For: "...)
	out = appendChain(out, chain)
	out = p.addr.AppendTo(out)
	if !gotProto {
		out = append(out, "\r\nX-Forwarded-Proto: "...)
		out = append(out, p.scheme()...)
	}
	if !gotHost {
		out = append(out, "\r\nX-Forwarded-Host: "...)
		out = append(out, h.host...)
	}
	if !gotIP {
		out = append(out, "\r\nX-Real-IP: "...)
		out = p.addr.AppendTo(out)
	}
	out = append(out, "\r\nForwarded: "...)
	out = appendChain(out, chain7239)
	out = p.appendForwarded(out, h.host)
	return append(out, "\r\n\r\n"...)
}

// joinList makes one list of a field that came several times. It allocates, and only for trusted proxies that do so.
func joinList(list, more []byte) []byte {
	if list == nil {
		return more
	}
	return []byte(string(list) + ", " + string(more))
}

func appendChain(out, chain []byte) []byte {
	if len(chain) == 0 {
		return out
	}
	return append(append(out, chain...), ", "...)
}

// appendForwarded writes one element of RFC 7239.
func (p peer) appendForwarded(out, host []byte) []byte {
	if p.addr.Is6() {
		out = append(out, `for="[`...)
		out = p.addr.AppendTo(out)
		out = append(out, `]"`...)
	} else {
		out = append(out, "for="...)
		out = p.addr.AppendTo(out)
	}
	out = append(out, `;host="`...)
	out = append(out, host...)
	out = append(out, `";proto=`...)
	return append(out, p.scheme()...)
}

// setForwarded is append's rule on a net/http header: out is free of forwarded fields, in is what the client sent.
func setForwarded(out, in http.Header, p peer, trusted bool, host string) {
	ip := p.addr.String()
	for name := range out {
		if strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded" || name == "X-Real-Ip" {
			delete(out, name)
		}
	}
	if !isHost([]byte(host)) {
		host = ""
	}
	chain, chain7239 := ip, string(p.appendForwarded(nil, []byte(host)))
	defaults := map[string]string{"X-Forwarded-Proto": p.scheme(), "X-Forwarded-Host": host, "X-Real-Ip": ip}
	if trusted {
		for name, values := range in {
			switch {
			case name == "X-Forwarded-For":
				chain = strings.Join(values, ", ") + ", " + ip
			case name == "Forwarded":
				chain7239 = strings.Join(values, ", ") + ", " + chain7239
			case strings.HasPrefix(name, "X-Forwarded-") || name == "X-Real-Ip":
				out[name] = values
			}
		}
	}
	for name, value := range defaults {
		if len(out[name]) == 0 {
			out.Set(name, value)
		}
	}
	out.Set("X-Forwarded-For", chain)
	out.Set("Forwarded", chain7239)
}
