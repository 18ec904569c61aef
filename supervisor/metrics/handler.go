package metrics

import (
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapesAtOnce is how many scrapes are answered at a time; more get 503, and cost nothing.
const scrapesAtOnce = 4

// Handler answers scrapes. Its registry is made at the first one: an appliance that nobody scrapes does not pay for it.
func Handler(source Source) http.Handler {
	made := sync.OnceValue(func() http.Handler {
		r := prometheus.NewRegistry()
		r.MustRegister(NewCollector(source), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: scrapesAtOnce, ErrorHandling: promhttp.ContinueOnError})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { made().ServeHTTP(w, r) })
}
