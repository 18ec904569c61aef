package services

import (
	"encoding/json"
	"fmt"
	"maps"
)

// SiteConfig is what the site says of the product's site configuration. The product takes no variables for it: it reads files that replace all of what its
// page has saved, so that nothing else can be said without a file of the site's own.
// src: sourcegraph: cmd/frontend/internal/cli/config.go (overrideSiteConfig, readSiteConfigFile)
type SiteConfig struct {
	File    Source // JSON with comments; without a path there is none
	Email   Email
	License Source // holds the licence key; without a path there is none
}

// Email is how the product sends mail. The tags are those of supervisor/roster/keys.
type Email struct {
	Host           string `yaml:"host,omitempty" json:"host" doc:"the mail server" example:"smtp.example.com" pattern:"^[^\\s{}/:]+$" wants:"a host or address without a port"`
	Port           int    `yaml:"port,omitempty" json:"port" doc:"its port" min:"1" max:"65535" default:"587" example:"2525"`
	From           string `yaml:"from,omitempty" json:"from" doc:"the address that mail comes from" example:"sourcegraph@example.com" pattern:"^[^\\s{}@]+@[^\\s{}@]+$" wants:"an address such as sourcegraph@example.com"`
	User           string `yaml:"user,omitempty" json:"user,omitempty" doc:"who signs in to the server" example:"sg" unset:"nobody" pattern:"^[^{}\\s]+$" wants:"a name without spaces and braces"`
	PasswordSecret string `yaml:"password_secret,omitempty" json:"password_secret,omitempty" doc:"the file in secrets/ that holds the password" example:"smtp" unset:"none is given" pattern:"^[A-Za-z0-9._-]+$" wants:"a name of a file in secrets/"`
	Auth           string `yaml:"authentication,omitempty" json:"authentication,omitempty" doc:"how user and password are sent" enum:"PLAIN,CRAM-MD5" example:"CRAM-MD5" unset:"PLAIN with a user, none without"`
	Domain         string `yaml:"domain,omitempty" json:"domain,omitempty" doc:"what the product calls itself to the server (HELO)" example:"code.example.com" unset:"none is said" pattern:"^[^\\s{}]+$" wants:"a domain"`
}

// Check refuses what cannot send.
func (e *Email) Check(given func(string) bool, fault func(key, text string)) {
	if !given("host") || !given("from") {
		fault("", "needs host, the mail server, and from, the address that mail comes from")
	}
	if given("user") != given("password_secret") {
		fault("", "needs both user and password_secret, or none")
	}
	if given("authentication") && !given("user") {
		fault("authentication", "needs user, too")
	}
}

// Settings are the names of the settings that the site says beside its file.
func (c SiteConfig) Settings() (names []string) {
	if c.Email.Host != "" {
		names = append(names, "email.address", "email.smtp")
	}
	if c.License.Path != "" {
		names = append(names, "licenseKey")
	}
	return names
}

// apply gives frontend the site's file, and one of our own behind it, which the product merges by top-level key.
func (c SiteConfig) apply(d Definition) Definition {
	if d.Name != "frontend" || c.File.Path == "" {
		return d
	}
	d.Env = maps.Clone(d.Env)
	const own, more = "{{ .Run }}/site-config.json", "{{ .Run }}/site-config-appliance.json"
	d.Env["SITE_CONFIG_FILE"] = own
	d.Files = append(d.Files[:len(d.Files):len(d.Files)], File{Path: own, Mode: 0o600, From: []Source{c.File}})
	if len(c.Settings()) > 0 {
		d.Env["SITE_CONFIG_FILE"] += ":" + more
		d.Files = append(d.Files, File{Path: more, Mode: 0o600, Content: c.settings()})
	}
	return d
}

// settings is the file of our own; secrets are in it by reference. src: sourcegraph: schema/site.schema.json (email.smtp, email.address, licenseKey)
func (c SiteConfig) settings() string {
	all := map[string]any{}
	if e := c.Email; e.Host != "" {
		smtp := map[string]any{"host": e.Host, "port": e.Port, "authentication": "none"}
		if e.User != "" {
			smtp["authentication"], smtp["username"], smtp["password"] = "PLAIN", e.User, SecretJSONRef(e.PasswordSecret)
		}
		if e.Auth != "" {
			smtp["authentication"] = e.Auth
		}
		if e.Domain != "" {
			smtp["domain"] = e.Domain
		}
		all["email.address"], all["email.smtp"] = e.From, smtp
	}
	if c.License.Path != "" {
		all["licenseKey"] = SecretJSONRef(c.License.Path)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("services: texts and numbers are no JSON: %v", err))
	}
	return "// by the appliance " + c.License.Stamp + "\n" + string(text) + "\n" // another key is another file, which is what restarts frontend
}
