package services

// otelCollector receives the traces of Sourcegraph's services and sends them on: to jaeger when that runs, else to its own log, which is as good as nowhere.
// src: sourcegraph-public-snapshot: docker-images/opentelemetry-collector/{builder.template.yaml,configs/logging.yaml,configs/jaeger.yaml};
// sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453 (1 CPU, 1g; metrics 8888, health 13133)
func otelCollector() Definition {
	return thirdParty(Definition{
		Name:     "otel-collector",
		Releases: from("4.0"),
		Optional: "without a back end it throws traces away; turn it on together with jaeger, or with a configuration of the site's own in services.otel-collector.command",
		Loss:     "there are no traces",
		Command:  []string{"otelcol-sourcegraph", "--config", "{{ .Run }}/otel-collector.yaml"},
		Ports: []Port{
			{Name: "grpc", Number: 4317}, {Name: "http", Number: 4318}, {Name: "health", Number: 13133}, {Name: "metrics", Number: 8888},
		},
		Wants:   []string{"jaeger"},
		Files:   []File{{Path: "{{ .Run }}/otel-collector.yaml", Mode: 0o600, Content: otelCollectorConf}},
		Ready:   readyHTTP("/", "health"),
		Live:    liveHTTP("/", "health"),
		Log:     serviceLog("plain"),
		Budget:  Budget{Memory: 1 << 30, CPUWeight: 25, Pids: 256}, // memory: compose @v7.5.4453
		Metrics: &Metrics{Port: "metrics", Path: "/metrics"},
	})
}

// otelCollectorConf names no zpages: nobody needs a fifth listener. The exporter logging is in every build of Sourcegraph whose list is public.
const otelCollectorConf = `# Written by the appliance at each start
receivers:
  otlp:
    protocols:
      grpc: {endpoint: '{{ .Address.grpc }}'}
      http: {endpoint: '{{ .Address.http }}'}
exporters:
{{- with .Running "jaeger" "otlpgrpc" "" }}
  otlp/jaeger: {endpoint: '{{ . }}', tls: {insecure: true}}
{{- else }}
  logging: {loglevel: warn}
{{- end }}
extensions:
  health_check: {endpoint: '{{ .Address.health }}'}
service:
  extensions: [health_check]
  telemetry:
    metrics: {address: '{{ .Address.metrics }}'}
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [{{ if .Running "jaeger" "otlpgrpc" "" }}otlp/jaeger{{ else }}logging{{ end }}]
`
