package roster

import (
	"github.com/sourcegraph/appliance/services"
)

// Config is the effective configuration, for `config show`: secrets by reference only.
type Config struct {
	Product  string              `json:"product"`
	Release  string              `json:"release"`
	Site     Site                `json:"site"`
	Services []services.Instance `json:"services"`
	Warnings []string            `json:"warnings"`
}

// Config returns the configuration in force.
func (r *Roster) Config() Config {
	return Config{r.Plan.Product, r.Plan.Release, r.Site, r.Plan.Instances, append([]string{}, r.Warnings...)}
}

// Definitions returns the services of a version of a product with what the site says of them, and the site's own; it needs no release and writes nothing.
func Definitions(configFile, product, version string) ([]services.Effective, error) {
	c, err := readConfig(configFile)
	if err != nil {
		return nil, err
	}
	s, err := c.selection(product, version)
	if err != nil {
		return nil, err
	}
	return s.Effective()
}
