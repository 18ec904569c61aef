package services

import "time"

// worker runs the background jobs. src: sourcegraph: cmd/worker/shared/main.go @3.38; cmd/server/shared/globals.go @3.38 (debug port 6089)
func worker() Definition {
	return Definition{
		Name:     "worker",
		Kind:     KindService,
		Releases: everywhere(),
		Loss:     "background work stands still: permissions, batch changes, insights, monitors and, since 6.4, new repositories; searches still work",
		Command:  []string{"worker"},
		Env: redisEnv(goEnv(map[string]string{
			"CACHE_DIR":       "{{ .Data.cache }}",
			"SEARCHER_URL":    `{{ .PeerURL "searcher" "http" }}`,
			"SRC_GIT_SERVERS": `{{ .Peer "gitserver" "http" }}`,
			"WORKER_ADDR":     "{{ .Address.http }}", // the demo's alone: Sourcegraph's port is a constant
		})),
		Ports: []Port{{Name: "http", Number: 3189}, {Name: "debug", Number: 6089}},
		// It opens no port until the frontend has answered, and takes its databases' addresses from there (observed, 3.38).
		Needs: []string{"frontend"},
		Wants: []string{"gitserver", "searcher"},
		Data:  []Data{{Name: "cache", Path: "shared/cache/worker/{{ .Number }}", Class: DataCache}},
		// Open once all jobs are initialised. src: sourcegraph/deploy-sourcegraph-helm: templates/worker
		Ready:    readyHTTP("/ready", "debug"),
		Live:     goLive(),
		Start:    Start{Timeout: 5 * time.Minute},
		Stop:     goStop(),
		Restart:  goRestart(),
		Log:      serviceLog("logfmt"),
		Budget:   Budget{Memory: 4 << 30, CPUWeight: 100, Pids: 1024}, // memory: compose @v7.5.4453
		Metrics:  goMetrics(),
		Replicas: Replicas{Max: 1}, // licence check and, since 6.4, the repository scheduler run exactly once. src: sourcegraph/docs: self-hosted/workers
		Switch:   StopThenStart,
		Snapshot: SnapshotNever,
		Variants: goVariants(loopbackBefore5(), workerVariant()),
	}
}

func workerVariant() Variant {
	value := func(s string) *string { return &s }
	return Variant{
		In:    []Releases{{sourcegraph, "3.38", ""}},
		Why:   `the port is a constant (":3189"). src: sourcegraph-public-snapshot: cmd/worker/shared/main.go; it also searches by index`,
		Fixed: []string{"http"},
		Change: Override{Env: map[string]*string{
			"WORKER_ADDR":            nil,
			"INDEXED_SEARCH_SERVERS": value(`{{ .PeerOr "zoekt-webserver" "http" "127.0.0.1:6070" }}`),
		}},
	}
}
