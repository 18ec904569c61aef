package roster

import (
	"net"

	"github.com/sourcegraph/appliance/services"
)

// The appliance's own metrics, as the book of addresses knows them. The name is none that a service may have.
const (
	ownMetricsService = "appliance"
	ownMetricsPort    = 9464 // the example of metrics.listen
)

var ownMetricsKey = services.AddressKey(ownMetricsService, 0, "metrics")

// ownMetrics is a port for the appliance's own metrics when a Prometheus of this plan is to scrape them and metrics.listen does not say where
// they are: it cannot scrape a unix socket.
func (r *Roster) ownMetrics(list []services.Effective) []services.Effective {
	if r.Site.Metrics.Listen != "" {
		return nil
	}
	for _, e := range list {
		if e.Name == "prometheus" && !e.Disabled {
			d := services.Definition{Name: ownMetricsService, Ports: []services.Port{{Name: "metrics", Number: ownMetricsPort}}}
			return []services.Effective{{Definition: d, Count: 1}}
		}
	}
	return nil
}

// scraped is the address by which a Prometheus on this machine reaches what listens there; empty for nowhere.
func scraped(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// Scrapes is what a Prometheus on this machine is to scrape.
func (r *Roster) Scrapes() []services.Scrape { return r.Plan.Scrapes(scraped(r.Metrics)) }
