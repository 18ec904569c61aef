package roster

import (
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// Site is the site's file, appliance.yaml; a zero value means that it says nothing. A field with its tags is a key: see package keys.
type Site struct {
	URL              keys.URL        `yaml:"url,omitempty" json:"url,omitempty" doc:"the product's one address: where the front door listens, and where pages at any other address are sent" example:"https://code.example.com" unset:"any address is right" changing:"the front door listens anew; nothing is restarted"`
	Listen           []keys.Listener `yaml:"listen,omitempty" json:"listen,omitempty" one:"true" unique:"true" doc:"addresses of the front door; without a host on all interfaces, without http:// or https:// TLS if there is a certificate, but for port 80" example:"127.0.0.1:7081" unset:"as url says; else 127.0.0.1:7080, in the image :7080" flag:"--listen" env:"APPLIANCE_LISTEN" changing:"the front door listens anew; nothing is restarted"`
	TLS              TLS             `yaml:"tls,omitempty" json:"tls,omitzero" doc:"the front door's certificate; both keys or none" changing:"the front door serves it at once; nothing is restarted"`
	ACME             *ACME           `yaml:"acme,omitempty" json:"acme,omitempty" doc:"the front door gets its certificate by itself and renews it" changing:"the front door asks for one, or takes the one that it keeps; nothing is restarted"` // nil: it does not
	TrustedProxies   []keys.Network  `yaml:"trusted_proxies,omitempty" json:"trusted_proxies,omitempty" doc:"proxies before the front door whose X-Forwarded headers are believed" example:"[10.0.0.0/8, 192.0.2.7]" unset:"nobody's" changing:"counts at once; nothing is restarted"`
	AllowExposed     bool            `yaml:"allow_exposed_ports,omitempty" json:"allow_exposed_ports,omitempty" doc:"run services that listen on all interfaces, where neither they nor the kernel can be kept from it; keep others away with a firewall" example:"true" unset:"false; in the image true, whose network is its own" changing:"weighed at the next start or reload; nothing is restarted"`
	AllowOldPostgres bool            `yaml:"allow_old_postgres,omitempty" json:"allow_old_postgres,omitempty" doc:"run a release on a PostgreSQL of this machine that is older than the release needs; its services are expected to refuse it" example:"true" unset:"false" changing:"weighed at the next start or reload; nothing is restarted"`
	Metrics          Metrics         `yaml:"metrics,omitempty" json:"metrics,omitzero" doc:"the appliance's own metrics"`
	StopTimeout      time.Duration   `yaml:"stop_timeout,omitempty" json:"stop_timeout,omitempty" doc:"for the whole ordered stop" example:"90s" min:"1s" max:"24h" unset:"180s, in the image 9s" flag:"--stop-timeout" env:"APPLIANCE_STOP_TIMEOUT" changing:"counts from the next start of the appliance on"` // nanoseconds in JSON
	Log              SiteLog         `yaml:"log,omitempty" json:"log,omitzero" doc:"the services' output"`

	services.External `yaml:",inline"`

	Proxy          services.Proxy   `yaml:"proxy,omitempty" json:"proxy,omitzero" doc:"the site's way to the web, for the services that call out" changing:"the services that call out are restarted"`
	CACertificates keys.File        `yaml:"ca_certificates,omitempty" json:"ca_certificates,omitempty" doc:"certificates that the services that call out trust beside the system's, PEM" example:"tls/ca.pem" unset:"the system's only" changing:"the services that call out are restarted"`
	Offline        bool             `yaml:"offline,omitempty" json:"offline,omitempty" doc:"true throws every switch that keeps a service from calling out by itself; services show lists all calls, and what else ends them; whether url leads here is not asked either" example:"true" unset:"false" changing:"the services with such a switch are restarted"`
	Git            Git              `yaml:"git,omitempty" json:"git,omitzero" doc:"what git signs in to code hosts with, copied to gitserver's home before each start; what is no longer named stays there" changing:"gitserver is restarted, as it is by a reload after the file has changed"`
	Storage        services.Storage `yaml:"storage,omitempty" json:"storage,omitzero" doc:"where classes of data lie, each on a disk of its own if you like; a path is changed once its data was moved there, else it is refused" changing:"the services whose data it is are restarted"`
	SiteConfig     keys.File        `yaml:"site_config,omitempty" json:"site_config,omitempty" doc:"the product's whole site configuration, JSON with comments; each start makes it so again: what its page or site-config edit saved before is replaced, and both take no more edits" example:"site-config.jsonc" unset:"the product's page has it" changing:"frontend is restarted, as it is by a reload after the file has changed"`
	Email          services.Email   `yaml:"email,omitempty" json:"email,omitzero" doc:"the product's mail, added to the file of site_config, without which it is refused: the product has no other way to be told, but its page and site-config edit" changing:"frontend is restarted"`
	LicenseFile    keys.File        `yaml:"license_file,omitempty" json:"license_file,omitempty" doc:"the product's licence key, in one line; like email it needs site_config" example:"secrets/license" unset:"the product's page or the file of site_config has it, if there is one" changing:"frontend is restarted, as it is by a reload after the file has changed"`
	AutoApply      bool             `yaml:"auto_apply,omitempty" json:"auto_apply,omitempty" doc:"true applies a valid change on disk by itself; else it waits for config apply, reload or HUP" example:"true" unset:"false" changing:"counts once it is applied; nothing is restarted"`

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

// ACME is how the front door gets its certificate by itself (RFC 8555).
type ACME struct {
	AcceptTerms bool      `yaml:"accept_terms,omitempty" json:"accept_terms" only:"true" doc:"you agree to the authority's terms of service" example:"true" unset:"no certificate is asked for: the configuration is refused"`
	Directory   string    `yaml:"directory,omitempty" json:"directory" doc:"the authority's directory" pattern:"^https://[^/]+(/.*)?$" wants:"an https:// address" default:"https://acme-v02.api.letsencrypt.org/directory" example:"https://ca.example.com/acme/acme/directory"`
	Email       string    `yaml:"email,omitempty" json:"email,omitempty" doc:"where the authority writes to" example:"admin@example.com" unset:"nowhere"`
	CA          keys.File `yaml:"ca,omitempty" json:"ca,omitempty" doc:"certificates to trust the authority's server by, PEM" example:"tls/ca.pem" unset:"those of this machine"`
	EAB         EAB       `yaml:"eab,omitempty" json:"eab,omitzero" doc:"an account that the authority knows from elsewhere; both keys or none"`
}

// EAB names an account that the authority knows from elsewhere; both or none.
type EAB struct {
	KeyID   string    `yaml:"key_id,omitempty" json:"key_id" doc:"its name" example:"kid-1"`
	KeyFile keys.File `yaml:"key_file,omitempty" json:"key_file" doc:"a file with its key, base64url" example:"secrets/acme-eab"`
}

// Check refuses one without the other.
func (*EAB) Check(given func(string) bool, fault func(key, text string)) {
	if given("key_id") != given("key_file") {
		fault("", "needs both key_id and key_file")
	}
}

// Metrics opens /metrics on TCP.
type Metrics struct {
	Listen keys.Address `yaml:"listen,omitempty" json:"listen" doc:"host:port that serves /metrics in clear, beside the admin socket" example:"127.0.0.1:9464" unset:"on the admin socket only; while the bundled Prometheus runs, 127.0.0.1:9464 or a free port" changing:"it listens anew; nothing is restarted"`
}

// SiteLog is about the services' output.
type SiteLog struct {
	Stdout *bool `yaml:"stdout,omitempty" json:"stdout,omitempty" doc:"show the services' log lines on the appliance's output, too" example:"true" unset:"false; in the image and under systemd true" flag:"--log-stdout" env:"APPLIANCE_LOG_STDOUT" changing:"counts from the next start of the appliance on"` // nil: not said
}
