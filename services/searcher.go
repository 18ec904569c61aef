package services

import "time"

// searcher searches revisions that have no index, in archives that it gets from gitserver and keeps on disk.
// src: sourcegraph: cmd/searcher/main.go @3.38; sourcegraph-public-snapshot: cmd/searcher/shared/config.go; cmd/server/shared/globals.go @3.38 (debug port 6069)
func searcher() Definition {
	return Definition{
		Name:     "searcher",
		Kind:     KindService,
		Releases: everywhere(),
		Loss:     "searches of revisions without an index fail",
		Command:  []string{"searcher"},
		Env: redisEnv(goEnv(map[string]string{
			"CACHE_DIR":              "{{ .Data.cache }}",
			"SEARCHER_ADDR":          "{{ .Address.http }}",
			"SEARCHER_CACHE_SIZE_MB": "10000", // the default of 100 GB fills a small disk; 45 % of helm's 26 GiB volume. src: sourcegraph/deploy-sourcegraph-helm: values.yaml
			"SRC_GIT_SERVERS":        `{{ .Peer "gitserver" "http" }}`,
		})),
		Ports: []Port{{Name: "http", Number: 3181}, {Name: "debug", Number: 6069}},
		Needs: []string{"frontend"}, // for its configuration. src: sourcegraph: internal/conf/client.go @3.38
		Wants: []string{"gitserver"},
		Data:  []Data{{Name: "cache", Path: "shared/cache/searcher/{{ .Number }}", Class: DataCache}},
		Ready: readyHTTP("/healthz", "http"),
		Live:  goLive(),
		Start: Start{Timeout: time.Minute},
		Stop:  goStop(), Restart: goRestart(),
		Log:      serviceLog("logfmt"),
		Budget:   Budget{Memory: 2 << 30, CPUWeight: 100, Pids: 1024}, // memory: compose @v7.5.4453
		Metrics:  goMetrics(),
		Replicas: Replicas{Max: 64, Driver: "repositories"},
		Switch:   SideBySide,
		Snapshot: SnapshotNever,
		Variants: goVariants(loopbackBefore5(), Variant{
			In:    []Releases{{sourcegraph, "3.38", "5.0"}},
			Why:   "the port is a constant. src: sourcegraph: cmd/searcher/main.go @3.38",
			Fixed: []string{"http"},
		}),
	}
}
