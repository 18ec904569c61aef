package services

// cadvisor shows containers, of which there are none here.
// src: sourcegraph: docker-images/cadvisor/Dockerfile @3.38 (0.39.2, its flags); sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453 (1 CPU, 1g)
func cadvisor() Definition {
	return thirdParty(Definition{
		Name:     "cadvisor",
		Releases: from("3.38"),
		Optional: "it knows containers only, and a service is a plain process here; the appliance's own metrics show memory and CPU of each",
		Loss:     "dashboards lack the figures of containers",
		Command: []string{
			"cadvisor", "-logtostderr", "-listen_ip=127.0.0.1", "-port={{ .Port.http }}", "-disable_metrics=percpu,hugetlb,sched,tcp,udp,advtcp",
			"-housekeeping_interval=10s", "-max_housekeeping_interval=15s", "-event_storage_event_limit=default=0", "-event_storage_age_limit=default=0",
		},
		Host:    &HostProgram{Names: []string{"cadvisor"}, Package: "cadvisor"},
		Ports:   []Port{{Name: "http", Number: 48080}},
		Ready:   readyHTTP("/healthz", "http"),
		Live:    liveHTTP("/healthz", "http"),
		Log:     serviceLog("go"),
		Budget:  Budget{Memory: 1 << 30, CPUWeight: 25, Pids: 256}, // memory: compose @v7.5.4453
		Metrics: &Metrics{Port: "http", Path: "/metrics", Job: "node"},
		Switch:  SideBySide,
	})
}
