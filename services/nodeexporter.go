package services

// nodeExporter shows the machine's own figures. As a plain process it needs none of the container's paths.
// src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453 (0.5 CPU, 1g, collectors; since 4.2)
func nodeExporter() Definition {
	return thirdParty(Definition{
		Name:     "node-exporter",
		Releases: from("4.2"),
		Spare:    true,
		Loss:     "dashboards lack the machine's figures",
		Command: []string{
			"node_exporter", "--web.listen-address={{ .Address.http }}", "--no-collector.wifi", "--no-collector.hwmon",
			"--collector.filesystem.mount-points-exclude=^/(sys|proc|dev|host|etc)($|/)",
		},
		Host:    &HostProgram{Names: []string{"node_exporter", "prometheus-node-exporter"}, Package: "prometheus-node-exporter"},
		Ports:   []Port{{Name: "http", Number: 9100}},
		Ready:   readyHTTP("/", "http"),
		Live:    liveHTTP("/", "http"),
		Log:     serviceLog("logfmt"),
		Budget:  Budget{Memory: 256 << 20, CPUWeight: 25, Pids: 128}, // ours; compose @v7.5.4453 allows 1g
		Metrics: &Metrics{Port: "http", Path: "/metrics"},
		Switch:  SideBySide,
	})
}
