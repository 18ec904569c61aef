package services

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

// Scrape is one job of Prometheus: all instances of the services that are known by one name to dashboards and alerts.
type Scrape struct {
	Job, Path string
	Targets   []Target
}

// Target is one instance that shows metrics.
type Target struct {
	Instance string // empty: the appliance itself, which names its services by labels of its own
	Address  string
}

// applianceJob is the job of the appliance's own metrics.
const applianceJob = "appliance"

func (m Metrics) job(service string) string { return cmp.Or(m.Job, service) }

// jobs are scrapes being put together.
type jobs []Scrape

func (j *jobs) add(job, path, instance, address string) {
	i := slices.IndexFunc(*j, func(s Scrape) bool { return s.Job == job && s.Path == path })
	if i < 0 {
		*j = append(*j, Scrape{Job: job, Path: path})
		i = len(*j) - 1
	}
	(*j)[i].Targets = append((*j)[i].Targets, Target{instance, address})
}

// begin has the appliance's own metrics first, when they are to be had over TCP.
func begin(appliance string) jobs {
	var out jobs
	if appliance != "" {
		out.add(applianceJob, "/metrics", "", appliance)
	}
	return out
}

// scrapes lists what runs and has metrics, by job.
func (in Input) scrapes(list []Effective) []Scrape {
	out := begin(in.Appliance)
	for _, e := range list {
		if e.Disabled || e.Metrics == nil || e.Kind == KindExternal {
			continue
		}
		for n := range e.Count {
			if address, ok := in.Addresses[AddressKey(e.Name, n, e.Metrics.Port)]; ok {
				out.add(e.Metrics.job(e.Name), e.Metrics.Path, Instance{Service: e.Name, Number: n, Replicas: e.Count}.Name(), address)
			}
		}
	}
	return out
}

// Scrapes lists what runs and has metrics; appliance is where its own are, empty for nowhere.
func (p Plan) Scrapes(appliance string) []Scrape {
	out := begin(appliance)
	for _, i := range p.Instances {
		if i.Wanted && i.Metrics != nil && i.Kind != KindExternal && i.Addresses[i.Metrics.Port] != "" {
			out.add(i.Metrics.job(i.Service), i.Metrics.Path, i.Name(), i.Addresses[i.Metrics.Port])
		}
	}
	return out
}

// ScrapesOf lists what has metrics among definitions, at the catalog's ports; what is off by itself is left out.
func ScrapesOf(defs []Definition, appliance string) []Scrape {
	out := begin(appliance)
	for _, d := range defs {
		if d.Optional != "" || d.Metrics == nil || d.Kind == KindExternal {
			continue
		}
		for _, p := range d.Ports {
			if p.Name == d.Metrics.Port {
				out.add(d.Metrics.job(d.Name), d.Metrics.Path, d.Name, net.JoinHostPort(loopback, strconv.Itoa(p.Number)))
			}
		}
	}
	return out
}

// scrapeJobs is the scrape_configs of Prometheus. The labels are those that Sourcegraph's dashboards and alerts choose by.
// src: sourcegraph: docker-images/prometheus/config/prometheus.yml @3.38
const scrapeJobs = `scrape_configs:
{{- range .Scrapes }}
  - job_name: '{{ .Job }}'
    metrics_path: '{{ .Path }}'
    static_configs:
      {{- range .Targets }}
      - targets: ['{{ .Address }}']
        labels: { {{- with .Instance }}service: '{{ . }}', {{ end }}nodename: 'appliance'}
      {{- end }}
{{- end }}
`

// ScrapeConfig is the part scrape_configs of a prometheus.yml.
func ScrapeConfig(list []Scrape) string {
	var out strings.Builder
	if err := template.Must(template.New("scrape").Parse(scrapeJobs)).Execute(&out, struct{ Scrapes []Scrape }{list}); err != nil {
		panic("services: a constant template over plain data: " + err.Error())
	}
	return out.String()
}
