package services

// jaeger keeps traces in memory. Version 1 takes a flag for each listener, version 2 a file.
// src: sourcegraph: docker-images/jaeger-all-in-one @3.38 (1.24); sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v3.38.0 (20000 traces, 512m),
// docker-compose/jaeger/docker-compose.yaml @v5.0.0, v7.0.0 (flags), v7.5.4453 (file); Jaeger: CLI flags 1.24, 1.57
func jaeger() Definition {
	return thirdParty(Definition{
		Name:     "jaeger",
		Releases: from("3.38"),
		Optional: "it holds traces in memory that nobody looks at until something is slow; Sourcegraph, too, starts it only on demand since 4.0",
		Loss:     "there are no traces",
		Command: []string{
			"jaeger-all-in-one", "--memory.max-traces=20000", "--query.base-path=/-/debug/jaeger",
			"--query.http-server.host-port={{ .Address.http }}", "--query.grpc-server.host-port={{ .Address.query }}", "--admin.http.host-port={{ .Address.admin }}",
			"--collector.grpc-server.host-port={{ .Address.collector }}", "--collector.http-server.host-port={{ .Address.thrift }}",
			"--http-server.host-port={{ .Address.sampling }}", "--processor.jaeger-compact.server-host-port={{ .Address.compact }}",
			"--processor.jaeger-binary.server-host-port={{ .Address.binary }}", "--processor.zipkin-compact.server-host-port={{ .Address.zipkin }}",
		},
		Ports: []Port{
			{Name: "http", Number: 16686}, {Name: "query", Number: 16685}, {Name: "admin", Number: 14269}, {Name: "collector", Number: 14250},
			{Name: "thrift", Number: 14268}, {Name: "sampling", Number: 5778}, {Name: "compact", Number: 6831}, {Name: "binary", Number: 6832},
			{Name: "zipkin", Number: 5775}, {Name: "otlpgrpc", Number: 4327}, {Name: "otlphttp", Number: 4328}, // 4317 and 4318 are the collector's
		},
		Files:    []File{{Path: "{{ .Run }}/jaeger.yaml", Mode: 0o600, Content: jaegerConf}},
		Ready:    readyHTTP("/", "admin"),
		Live:     liveHTTP("/", "admin"),
		Log:      serviceLog("json"),
		Budget:   Budget{Memory: 512 << 20, CPUWeight: 25, Pids: 256}, // memory: compose @v3.38.0
		Metrics:  &Metrics{Port: "admin", Path: "/metrics"},
		Variants: jaegerVariants(),
	})
}

func jaegerVariants() []Variant {
	value := func(s string) *string { return &s }
	status := func(p *Probe) *Probe { p.HTTP = "/status"; return p }
	return []Variant{{
		In:  between("4.0", "7.1"),
		Why: "traces come by OTLP. src: sourcegraph/deploy-sourcegraph-docker: docker-compose/jaeger/docker-compose.yaml @v5.0.0, v7.0.0",
		Change: Override{
			Args: []string{"--collector.otlp.grpc.host-port={{ .Address.otlpgrpc }}", "--collector.otlp.http.host-port={{ .Address.otlphttp }}"},
			Env:  map[string]*string{"COLLECTOR_OTLP_ENABLED": value("true")},
		},
	}, {
		In:  from("7.1"),
		Why: "version 2 reads everything from one file. src: sourcegraph/deploy-sourcegraph-docker: docker-compose/jaeger/docker-compose.yaml @v7.5.4453",
		Change: Override{
			Command: []string{"jaeger-all-in-one", "--config={{ .Run }}/jaeger.yaml"},
			Ready:   status(readyHTTP("", "admin")),
			Live:    status(liveHTTP("", "admin")),
		},
	}}
}

// jaegerConf is for version 2. src: Jaeger: "Configuration" 2.0 (cmd/jaeger/internal/all-in-one.yaml)
const jaegerConf = `# Written by the appliance at each start; version 1 does not read it
service:
  extensions: [jaeger_storage, jaeger_query, healthcheckv2]
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [jaeger_storage_exporter]}
  telemetry:
    metrics:
      level: none
extensions:
  healthcheckv2:
    use_v2: true
    http: {endpoint: '{{ .Address.admin }}'}
  jaeger_query:
    base_path: /-/debug/jaeger
    http: {endpoint: '{{ .Address.http }}'}
    grpc: {endpoint: '{{ .Address.query }}'}
    storage: {traces: memory}
  jaeger_storage:
    backends:
      memory: {memory: {max_traces: 20000}}
receivers:
  otlp:
    protocols:
      grpc: {endpoint: '{{ .Address.otlpgrpc }}'}
      http: {endpoint: '{{ .Address.otlphttp }}'}
processors:
  batch: {}
exporters:
  jaeger_storage_exporter: {trace_storage: memory}
`
