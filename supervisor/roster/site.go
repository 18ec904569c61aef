package roster

import (
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// Site is the site's file, appliance.yaml; a zero value means that it says nothing. A field with its tags is a key: see package keys.
type Site struct {
	Listen         keys.Address   `yaml:"listen,omitempty" json:"listen,omitempty" doc:"host:port of the front door; without a host on all interfaces" example:"127.0.0.1:7081" unset:"127.0.0.1:7080, in the image :7080" flag:"--listen" env:"APPLIANCE_LISTEN" changing:"the front door listens anew; nothing is restarted"`
	TLS            TLS            `yaml:"tls,omitempty" json:"tls,omitzero" doc:"the front door's certificate; both keys or none" changing:"the front door serves it at once; nothing is restarted"`
	TrustedProxies []keys.Network `yaml:"trusted_proxies,omitempty" json:"trusted_proxies,omitempty" doc:"proxies before the front door whose X-Forwarded headers are believed" example:"[10.0.0.0/8, 192.0.2.7]" unset:"nobody's" changing:"counts at once; nothing is restarted"`
	Metrics        Metrics        `yaml:"metrics,omitempty" json:"metrics,omitzero" doc:"the appliance's own metrics"`
	StopTimeout    time.Duration  `yaml:"stop_timeout,omitempty" json:"stop_timeout,omitempty" doc:"for the whole ordered stop" example:"90s" min:"1s" max:"24h" unset:"180s, in the image 9s" flag:"--stop-timeout" env:"APPLIANCE_STOP_TIMEOUT" changing:"counts from the next start of the appliance on"` // nanoseconds in JSON
	Log            SiteLog        `yaml:"log,omitempty" json:"log,omitzero" doc:"the services' output"`

	services.External `yaml:",inline"`

	Services map[string]services.Override `yaml:"services,omitempty" json:"services,omitempty" key:"name" doc:"what is different for a service" changing:"the service is restarted"`
}

// TLS names the front door's certificate and key, absolute; both or none.
type TLS struct {
	Cert keys.File `yaml:"cert,omitempty" json:"cert" doc:"the certificate and its chain, PEM" example:"tls/cert.pem" flag:"--tls-cert" env:"APPLIANCE_TLS_CERT"`
	Key  keys.File `yaml:"key,omitempty" json:"key" doc:"its key, PEM" example:"tls/key.pem" flag:"--tls-key" env:"APPLIANCE_TLS_KEY"`
}

// Check refuses one without the other.
func (*TLS) Check(given func(string) bool, fault func(key, text string)) {
	if given("cert") != given("key") {
		fault("", "needs both cert and key")
	}
}

// Metrics opens /metrics on TCP.
type Metrics struct {
	Listen keys.Address `yaml:"listen,omitempty" json:"listen" doc:"host:port that serves /metrics in clear, beside the admin socket" example:"127.0.0.1:9464" unset:"on the admin socket only" changing:"it listens anew; nothing is restarted"`
}

// SiteLog is about the services' output.
type SiteLog struct {
	Stdout *bool `yaml:"stdout,omitempty" json:"stdout,omitempty" doc:"show the services' log lines on the appliance's output, too" example:"true" unset:"false; in the image and under systemd true" flag:"--log-stdout" env:"APPLIANCE_LOG_STDOUT" changing:"counts from the next start of the appliance on"` // nil: not said
}
