package services

import "time"

// prometheus is run directly, not through Sourcegraph's prom-wrapper: that starts its children by absolute shell scripts, orphans them at TERM, and
// serves on all interfaces. What the wrapper adds, receivers from the site configuration's observability.alerts, is alertmanager's file here.
// src: sourcegraph: docker-images/prometheus/{prometheus.sh,cmd/prom-wrapper/main.go,Dockerfile} @3.38 (Prometheus 2.33);
// sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453 (4 CPU, 8g); its admin API stays off: it has no authentication
func prometheus() Definition {
	return thirdParty(Definition{
		Name:     "prometheus",
		Releases: from("3.38"),
		Spare:    true,
		Loss:     "there are no dashboards and no alerts, and the list of alerts in the site's administration is not available",
		Command: []string{
			"prometheus", "--config.file={{ .Run }}/prometheus.yml", "--storage.tsdb.path={{ .Data.prometheus }}", "--web.listen-address={{ .Address.http }}",
		},
		Host:  &HostProgram{Names: []string{"prometheus"}, Package: "prometheus"},
		Ports: []Port{{Name: "http", Number: 9090}},
		Wants: []string{"alertmanager"},
		Files: []File{
			{Path: "{{ .Run }}/prometheus.yml", Mode: 0o600, Content: prometheusConf},
			{Path: "{{ .Run }}/appliance_rules.yml", Mode: 0o600, Content: "{{ .AlertRules }}"}, // Sourcegraph's own rules come with its images, not with its programs,
		},
		Data:  []Data{{Name: "prometheus", Path: "shared/prometheus", Class: DataCache}},
		Ready: readyHTTP("/-/ready", "http"), // WAL replayed
		Live:  liveHTTP("/-/healthy", "http"),
		Start: Start{Timeout: 20 * time.Minute}, // src: sourcegraph/deploy-sourcegraph-helm: templates/prometheus (readiness may fail 120 times, every 10 s)
		Stop:  plainStop(2 * time.Minute),       // src: the same (terminationGracePeriodSeconds 120)
		Log:   serviceLog("logfmt"),
		// Memory: compose @v7.5.4453. A machine that scrapes only itself needs a tenth.
		Budget:  Budget{Memory: 8 << 30, CPUWeight: 50, Pids: 256},
		Metrics: &Metrics{Port: "http", Path: "/metrics", Job: "builtin-prometheus"},
	})
}

// prometheusConf scrapes every service that runs and has metrics. Intervals: src: sourcegraph: docker-images/prometheus/config/prometheus.yml @3.38
const prometheusConf = `# Written by the appliance at each start
global:
  scrape_interval: 30s
  evaluation_interval: 30s
rule_files:
  - '{{ .Run }}/*_rules.yml'
{{- with .Running "alertmanager" "http" "" }}
alerting:
  alertmanagers:
    - static_configs:
        - targets: ['{{ . }}']
{{- end }}
` + scrapeJobs
