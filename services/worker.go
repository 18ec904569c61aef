package services

import "time"

// worker runs the background jobs; since 6.4 those of repo-updater too.
// src: sourcegraph: cmd/worker/shared/main.go @3.38; cmd/server/shared/globals.go @3.38 (debug port 6089)
func worker() Definition {
	http := Port{Name: "http", Number: 3189}
	return Definition{
		Name:     "worker",
		Kind:     KindService,
		Releases: everywhere(),
		Loss:     "background work stands still: batch changes, insights, monitors, retention of uploads; searches still work",
		Command:  []string{"worker"},
		Env: goEnv(redisEnv(), map[string]string{
			"CACHE_DIR":       "{{ .Data.cache }}",
			"SEARCHER_URL":    `{{ .PeerURL "searcher" "http" }}`,
			"SRC_GIT_SERVERS": `{{ .Peer "gitserver" "http" }}`,
			"WORKER_ADDR":     "{{ .Address.http }}", // the demo's alone: Sourcegraph's port is a constant
		}),
		Ports: []Port{http, {Name: "debug", Number: 6089}},
		// It opens no port until the frontend has answered, and takes its databases' addresses from there (observed, 3.38).
		Needs: []string{"frontend"},
		Wants: []string{"gitserver", "searcher"},
		Data:  []Data{{Name: "cache", Path: "shared/cache/worker/{{ .Number }}", Class: DataCache}},
		// Open once all jobs are initialised. src: sourcegraph/deploy-sourcegraph-helm: templates/worker
		Ready:   readyHTTP("/ready", "debug"),
		Live:    goLive(),
		Start:   Start{Timeout: 5 * time.Minute},
		Stop:    goStop(),
		Restart: goRestart(),
		Log:     serviceLog("logfmt"),
		Budget:  Budget{Memory: 4 * gib, CPUWeight: 100, Pids: 1024}, // memory: compose @v7.5.4453
		// Floor: 67 MB idle (observed, 3.38), twice that for a job. Share: GB of the machine image of size M.
		Demand:   Demand{Floor: 160 * mib, Share: 8, Elastic: ElasticLoad, OOMRank: 4, Knobs: goKnobs()},
		Metrics:  goMetrics(),
		Replicas: Replicas{Max: 1, Once: "the licence check and, since 6.4, the repository scheduler run exactly once"}, // src: sourcegraph/docs: self-hosted/workers
		Switch:   StopThenStart,
		Snapshot: SnapshotNever,
		Outbound: workerDestinations(),
		Variants: goVariants(workerVariants(http)...),
	}
}

func workerVariants(http Port) []Variant {
	executors := Port{Name: "executors", Number: 6996}
	all := []Variant{jaegerAgent(), loopbackBefore5(http), openFrom5(http), {
		In:  throughout(),
		Why: "it searches by index too. src: sourcegraph: internal/search/env.go @3.38",
		Change: Override{
			Env: map[string]*string{"WORKER_ADDR": nil, "INDEXED_SEARCH_SERVERS": pointer(`{{ .Peer "zoekt-webserver" "http" }}`)},
			// Jobs of code intelligence begin with the bucket. src: sourcegraph/docs: code-navigation/envvars
			Wants: []string{"gitserver", "searcher", "zoekt-webserver", "minio", "blobstore"},
		},
	}, {
		In:     between("3.38", "5.3"),
		Why:    "it calls github.com through github-proxy. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v5.2.7",
		Change: changes(map[string]string{"GITHUB_BASE_URL": `{{ .PeerURL "github-proxy" "http" }}`}),
	}, {
		In:     between("3.38", "6.4"),
		Why:    "symbols is a service of its own. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v6.3.4167",
		Change: changes(map[string]string{"SYMBOLS_URL": `{{ .PeerURL "symbols" "http" }}`}),
	}, {
		In:    between("4.0", "5.0"),
		Why:   "it serves the metrics of executors on a port of their own. src: sourcegraph/deploy-sourcegraph-docker: prometheus/prometheus_targets.yml @v5.0.0",
		Ports: []Port{{Name: executors.Name, Number: executors.Number, Fixed: true, Bind: BindSwitch}},
	}, openFrom5(executors), {
		In:     between("5.0.3", "5.7"),
		Why:    "it asks embeddings when that runs. src: sourcegraph/deploy-sourcegraph-helm: values.yaml @wip-5.3.666",
		Change: changes(map[string]string{"EMBEDDINGS_URL": `{{ .PeerURL "embeddings" "http" }}`}),
	}, {
		In:   between("6.4", ""),
		Why:  "repo-updater's work moved here. src: sourcegraph/docs: technical-changelog 6.4.0",
		Loss: "background work stands still: new repositories, fetches, permissions, batch changes, insights, monitors; searches still work",
	}}
	return append(all, uploads(indexUploads(), searchJobs(), embeddingUploads(), sharedUploads())...)
}
