package services

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSiteConfigurationOfTheSite: frontend gets the site's file and one with mail and licence behind it, in every family; nobody else gets anything.
func TestSiteConfigurationOfTheSite(t *testing.T) {
	c := SiteConfig{
		File:  Source{Path: "/etc/sourcegraph/site.jsonc", Stamp: "1"},
		Email: Email{Host: "smtp.example.com", Port: 587, From: "sg@example.com", User: "s g", PasswordSecret: "smtp"}, License: Source{Path: "/etc/sourcegraph/secrets/license", Stamp: "2"},
	}
	for _, version := range rosterVersions {
		s := everythingOn(version)
		s.SiteConfig = c
		in := input(t, s)
		in.Secrets = []string{"smtp"}
		plan, err := Build(in)
		require.NoError(t, err)
		for _, inst := range plan.Instances {
			if inst.Service != "frontend" {
				require.Equal(t, "(unset)", value(inst, "SITE_CONFIG_FILE"), inst.Service)
				continue
			}
			files := map[string]File{}
			for _, f := range inst.Files {
				files[f.Path] = f
			}
			own, more, _ := strings.Cut(value(inst, "SITE_CONFIG_FILE"), ":")
			require.Equal(t, []Source{c.File}, files[own].From)
			require.Equal(t, uint32(0o600), files[more].Mode)
			require.NotContains(t, files[more].Content, "pass\\")
			full, err := Expand(inst, map[string]string{"smtp": `pass"\word`, "/etc/sourcegraph/secrets/license": "k3y", "redis": "r", "postgres": "p", "executor": "e", "grafana": "g", "minio": "m"})
			require.NoError(t, err)
			var got map[string]any
			for _, f := range full.Files {
				if f.Path == more {
					comment, text, _ := strings.Cut(f.Content, "\n")
					require.Equal(t, "// by the appliance 2", comment)
					require.NoError(t, json.Unmarshal([]byte(text), &got))
				}
			}
			require.Equal(t, map[string]any{
				"email.address": "sg@example.com", "licenseKey": "k3y",
				"email.smtp": map[string]any{"host": "smtp.example.com", "port": 587.0, "authentication": "PLAIN", "username": "s g", "password": `pass"\word`},
			}, got)
		}
		require.Contains(t, SecretsOf(plan), "/etc/sourcegraph/secrets/license")
	}
}

func TestMailWithoutAUser(t *testing.T) {
	c := SiteConfig{Email: Email{Host: "h", Port: 25, From: "a@b", Domain: "d"}}
	_, text, _ := strings.Cut(c.settings(), "\n")
	require.JSONEq(t, `{"email.address": "a@b", "email.smtp": {"host": "h", "port": 25, "authentication": "none", "domain": "d"}}`, text)
	require.Equal(t, []string{"email.address", "email.smtp"}, c.Settings())
	c.Email.Auth, c.Email.User, c.Email.PasswordSecret = "CRAM-MD5", "u", "p"
	require.Contains(t, c.settings(), `"authentication": "CRAM-MD5"`)
}
