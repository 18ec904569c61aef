package services

// redisExporter shows one of the two Redis servers.
// src: sourcegraph: docker-images/redis_exporter/build.sh @3.38 (oliver006/redis_exporter 1.15.1); sourcegraph/deploy-sourcegraph-helm: values.yaml (9121, 100Mi)
func redisExporter(server string, port int) Definition {
	return thirdParty(Definition{
		Name:     server + "-exporter",
		Releases: from("3.38"),
		Spare:    true,
		Loss:     "dashboards and alerts lack the figures of " + server,
		Command:  []string{"redis_exporter"},
		Host:     &HostProgram{Names: []string{"redis_exporter", "prometheus-redis-exporter"}, Package: "prometheus-redis-exporter"},
		Env: map[string]string{
			"REDIS_ADDR":                        `redis://{{ .Peer "` + server + `" "redis" }}`,
			"REDIS_PASSWORD":                    "{{ .Secret.redis }}",
			"REDIS_EXPORTER_WEB_LISTEN_ADDRESS": "{{ .Address.http }}",
		},
		Ports:   []Port{{Name: "http", Number: port}},
		Wants:   []string{server},
		Ready:   readyHTTP("/health", "http"),
		Live:    liveHTTP("/health", "http"),
		Log:     serviceLog("logfmt"),
		Budget:  Budget{Memory: 100 << 20, CPUWeight: 25, Pids: 64}, // memory: helm
		Metrics: &Metrics{Port: "http", Path: "/metrics", Job: server},
		Switch:  SideBySide,
	})
}
