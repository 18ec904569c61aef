package supervisor

import (
	"net"
	"strings"

	"github.com/sourcegraph/appliance/supervisor/api"
	"github.com/sourcegraph/appliance/supervisor/door"
)

// doorState is what the door must do and show now.
func (s *Supervisor) doorState() door.State {
	plan, site := s.plan(), s.site()
	st := door.State{
		Mode: s.doorMode(), Product: productName(plan.Product), Version: plan.Version, Release: plan.Release, Ready: s.ready(), Since: s.since,
		SetupToken: s.setupToken(), Message: s.notice(),
		TLS: s.certificate.current(), ACME: s.acmeNow(), Mark: s.reach.mark,
		Limits: door.Limits{MaxBody: maxBody},
	}
	if u := s.front().URL; u != nil {
		st.ExternalURL, st.Redirect = u.String(), true
	}
	for _, prefix := range site.TrustedProxies {
		st.TrustedProxies = append(st.TrustedProxies, prefix.String())
	}
	for _, inst := range plan.Instances {
		v, ok := s.engine.View(inst.Name())
		if !ok {
			continue
		}
		if inst.Service == frontendName {
			st.Backend = inst.Addresses["http"]
		}
		st.Services = append(st.Services, door.Service{
			Name: inst.Name(), State: string(v.State), Reason: v.Reason, WaitingFor: v.WaitingFor, Loss: inst.Loss,
		})
	}
	return st
}

// maxBody is the largest request body: Sourcegraph's own limit for uploads.
// src: sourcegraph: cmd/server/shared/assets/nginx.conf @3.38 (client_max_body_size 150M); the rest is for its envelope.
const maxBody = 160 << 20

func productName(product string) string {
	switch product {
	case "demo":
		return "Demo search"
	case "sourcegraph":
		return "Sourcegraph"
	}
	return ""
}

// doorMode follows the frontend: a page while it comes up for the first time, requests held while it restarts, a page while it is away.
func (s *Supervisor) doorMode() door.Mode {
	v, ok := s.engine.View(frontendName)
	if !ok {
		v, ok = s.engine.View(frontendName + "/0")
	}
	d := s.host.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if !ok {
		return door.Progress
	}
	switch {
	case s.stopping.Load():
		return door.Maintenance
	case v.State == api.Ready || v.State == api.Degraded:
		d.answered = true
		return door.Proxy
	case !v.Wanted || v.State == api.Failed || v.State == api.Unkillable || v.State == api.Stopped:
		return door.Maintenance
	case !d.answered && v.Run <= 1:
		return door.Progress
	case v.State == api.Waiting && v.Held:
		return door.Maintenance
	}
	return door.Hold
}

// webAddress is what a person opens.
func webAddress(listen string, tls bool) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if tls {
		scheme = "https"
	}
	return scheme + "://" + strings.TrimSuffix(net.JoinHostPort(host, port), ":"+map[string]string{"http": "80", "https": "443"}[scheme])
}
