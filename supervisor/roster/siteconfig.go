package roster

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/siteconfig"
)

// siteConfig resolves what the site says of the product's site configuration.
func (c *config) siteConfig(product string) (services.SiteConfig, error) {
	out := services.SiteConfig{Email: c.site.Email}
	var err error
	if out.License, err = source("license_file", c.site.LicenseFile, nil); err != nil {
		return out, err
	}
	said := out.Settings()
	if len(said) == 0 && c.site.SiteConfig == "" {
		return out, nil
	}
	if c.site.SiteConfig == "" {
		key := "license_file"
		if out.Email.Host != "" {
			key = "email"
		}
		return out, invalid(fmt.Errorf("%s: the product takes it only with a file that is its whole site configuration, and site_config names none", key),
			"name one in site_config, or set it there instead: sourcegraph site-config edit")
	}
	out.File, err = source("site_config", c.site.SiteConfig, func(content string) error {
		settings, err := siteconfig.Check(content)
		for _, name := range said {
			if slices.Contains(settings.Keys, name) {
				err = errors.Join(err, fmt.Errorf("%s is in %s and in appliance.yaml, too", name, c.site.SiteConfig))
			}
		}
		return err
	})
	if product == "demo" && len(said) > 0 {
		c.warnings = append(c.warnings, "email and license_file have no effect: the demo sends no mail and needs no licence; its site configuration has them")
	}
	return out, err
}
