package services

import "time"

// frontend serves the pages, the API and, on its internal port, everybody's configuration.
//
// Compose runs the same program a second time as sourcegraph-frontend-internal, so that internal calls have CPUs of their own and a restart of the
// pages disturbs nobody. Here one process serves both ports, as in the single container: the kernel shares CPUs by weight on one machine, the front
// door holds requests during a restart, the others keep the configuration that they have, and the second process would cost 84 to 172 MB (observed,
// 3.38) and up to 90 connections of PostgreSQL's 100 (SRC_PGSQL_MAX_OPEN, 30 for each database).
// src: sourcegraph: cmd/frontend/internal/cli/serve_cmd.go @3.38 (3080, 3090); cmd/server/shared/globals.go @3.38 (debug port 6063 beside others on one host)
func frontend() Definition {
	return Definition{
		Name:     "frontend",
		Kind:     KindService,
		Releases: everywhere(),
		Loss:     "no page and no API answers",
		Command:  []string{"frontend"},
		Env:      frontendEnv(),
		Ports:    []Port{{Name: "http", Number: 3080}, {Name: "internal", Number: 3090}, {Name: "debug", Number: 6063}},
		// An old schema makes it exit at once, PostgreSQL away after 10 s (observed, 3.38).
		Needs: []string{"postgres", "migrator", "redis-cache", "redis-store"},
		Data: []Data{
			{Name: "cache", Path: "shared/cache/frontend/{{ .Number }}", Class: DataCache},
			{Name: "config", Path: "data/gen-{{ .Generation }}/config", Class: DataState},
		},
		// :3080/healthz asks PostgreSQL and Redis as well; :3090/healthz is 404 (observed, 3.38).
		Ready:   readyHTTP("/healthz", "http"),
		Live:    goLive(),
		Start:   Start{Timeout: 5 * time.Minute}, // src: compose @v7.5.4453 (start_period 300s)
		Stop:    goStop(),
		Restart: goRestart(),
		Log:     serviceLog("logfmt"),
		Budget:  Budget{Memory: 8 * gib, CPUWeight: 200, Pids: 1024}, // memory: compose @v7.5.4453
		// Floor: 172 MB busy (observed, 3.38), and half as much again. Share: GB of the machine image of size M.
		Demand:   Demand{Floor: 256 * mib, Share: 8, Elastic: ElasticLoad, OOMRank: 2, Knobs: goKnobs()},
		Metrics:  goMetrics(),
		Replicas: Replicas{Max: 1, Driver: "users"},
		Switch:   SideBySide, // two adjacent minor versions may share a database. src: sourcegraph/docs: self-hosted/updates
		Snapshot: SnapshotAlways,
		Outbound: frontendDestinations(),
		Variants: goVariants(frontendVariants()...),
	}
}

// frontendEnv names every endpoint: the defaults are Kubernetes look-ups, and without SRC_GIT_SERVERS the first unindexed search panics (observed, 3.38).
// src: sourcegraph: cmd/frontend/internal/cli @3.38, internal/search/env.go @3.38
func frontendEnv() map[string]string {
	return goEnv(redisEnv(), databaseEnv(), map[string]string{
		"CACHE_DIR":                     "{{ .Data.cache }}",
		"CONFIGURATION_MODE":            "server", // else it panics, exit 2 (observed, 3.38)
		"SEARCHER_URL":                  `{{ .PeerURL "searcher" "http" }}`,
		"SITE_CONFIG_ESCAPE_HATCH_PATH": "{{ .Data.config }}/site-config.json",
		"SRC_GIT_SERVERS":               `{{ .Peer "gitserver" "http" }}`,
		"SRC_HTTP_ADDR":                 "{{ .Address.http }}",
		"SRC_HTTP_ADDR_INTERNAL":        "{{ .Address.internal }}",
	})
}

func frontendVariants() []Variant {
	all := []Variant{jaegerAgent(), {
		In:  throughout(),
		Why: "endpoints of services that the demo does not have. src: sourcegraph: internal/search/env.go, cmd/frontend/internal/app/debug.go, internal/debugserver @3.38",
		Change: changes(map[string]string{
			"INDEXED_SEARCH_SERVERS": `{{ .Peer "zoekt-webserver" "http" }}`,
			"SRC_PROF_SERVICES":      "{{ .DebugServices }}",
			"SRC_SYNTECT_SERVER":     `{{ .PeerURL "syntax-highlighter" "http" }}`,
		}),
		Beside: Beside{
			"grafana":    {"GRAFANA_SERVER_URL": `{{ .PeerURL "grafana" "http" }}`},
			"jaeger":     {"JAEGER_SERVER_URL": `{{ .PeerURL "jaeger" "http" }}`},
			"prometheus": {"PROMETHEUS_URL": `{{ .PeerURL "prometheus" "http" }}`},
		},
	}, {
		In:  between("3.38", "6.4"),
		Why: "symbols and repo-updater are services of their own until 6.4. src: sourcegraph/docs: technical-changelog 6.4.0",
		Change: changes(map[string]string{
			"REPO_UPDATER_URL": `{{ .PeerURL "repo-updater" "http" }}`,
			"SYMBOLS_URL":      `{{ .PeerURL "symbols" "http" }}`,
		}),
	}, {
		In:     between("3.38", "5.3"),
		Why:    "github-proxy exists until 5.2. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v5.2.7",
		Change: changes(map[string]string{"GITHUB_BASE_URL": `{{ .PeerURL "github-proxy" "http" }}`}),
	}, {
		In:     between("5.0", ""),
		Why:    "the image's command. src: sourcegraph-public-snapshot: cmd/frontend/internal/cli",
		Change: Override{Args: []string{"serve"}},
	}, {
		In:     between("5.0.3", "5.7"),
		Why:    "it asks embeddings when that runs. src: sourcegraph/deploy-sourcegraph-helm: values.yaml @wip-5.3.666",
		Change: changes(map[string]string{"EMBEDDINGS_URL": `{{ .PeerURL "embeddings" "http" }}`}),
	}, {
		In:     between("6.4", ""),
		Why:    "it asks the index server for the state of an index. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453",
		Change: changes(map[string]string{"INDEXED_SEARCH_INDEXER": `{{ .Peer "zoekt-sourcegraph-indexserver" "http" }}`}),
	}}
	return append(all, uploads(indexUploads(), searchJobs(), embeddingUploads(), sharedUploads())...)
}
