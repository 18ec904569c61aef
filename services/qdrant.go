package services

// qdrant holds vectors of code for Cody, in the versions that could.
// src: sourcegraph/deploy-sourcegraph-helm: values.yaml @wip-5.3.666 (off, 2/8G, 100 GiB); Qdrant: "Configuration" (QDRANT__SERVICE__HOST …), "Monitoring" (/readyz, /metrics)
func qdrant() Definition {
	return thirdParty(Definition{
		Name:     "qdrant",
		Releases: between("5.1.7", "5.5"),
		Optional: "only Cody's embeddings use it, it wants 8 GB, and Sourcegraph itself ships it off; embeddings must be on in the site configuration as well",
		Loss:     "Cody answers without context from embeddings",
		Command:  []string{"qdrant"},
		Env: map[string]string{
			"QDRANT__SERVICE__HOST":           "127.0.0.1",
			"QDRANT__SERVICE__HTTP_PORT":      "{{ .Port.http }}",
			"QDRANT__SERVICE__GRPC_PORT":      "{{ .Port.grpc }}",
			"QDRANT__STORAGE__STORAGE_PATH":   "{{ .Data.qdrant }}/storage",
			"QDRANT__STORAGE__SNAPSHOTS_PATH": "{{ .Data.qdrant }}/snapshots",
			"QDRANT__TELEMETRY_DISABLED":      "true",
			"QDRANT__CLUSTER__ENABLED":        "false",
		},
		Ports:   []Port{{Name: "http", Number: 6333}, {Name: "grpc", Number: 6334}},
		Data:    []Data{{Name: "qdrant", Path: "shared/qdrant", Class: DataCache}}, // made again from the repositories
		Ready:   readyHTTP("/readyz", "http"),
		Live:    liveHTTP("/healthz", "http"),
		Log:     serviceLog("plain"),
		Budget:  Budget{Memory: 8 << 30, CPUWeight: 50, Pids: 512}, // memory: helm @wip-5.3.666
		Metrics: &Metrics{Port: "http", Path: "/metrics"},
	})
}
