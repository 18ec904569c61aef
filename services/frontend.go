package services

import "time"

// frontend serves the pages, the API and, on its internal port, everybody's configuration.
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
		Ready:    readyHTTP("/healthz", "http"),
		Live:     goLive(),
		Start:    Start{Timeout: 5 * time.Minute}, // src: compose @v7.5.4453 (start_period 300s)
		Stop:     goStop(),
		Restart:  goRestart(),
		Log:      serviceLog("logfmt"),
		Budget:   Budget{Memory: 8 << 30, CPUWeight: 200, Pids: 1024}, // memory: compose @v7.5.4453
		Metrics:  goMetrics(),
		Replicas: Replicas{Max: 1, Driver: "users"},
		Switch:   SideBySide, // two adjacent minor versions may share a database. src: sourcegraph/docs: self-hosted/updates
		Snapshot: SnapshotAlways,
		Variants: goVariants(frontendVariants()...),
	}
}

// frontendEnv names every endpoint: the defaults are Kubernetes look-ups, and without SRC_GIT_SERVERS the first unindexed search panics (observed, 3.38).
// src: sourcegraph: cmd/frontend/internal/cli @3.38, internal/search/env.go @3.38
func frontendEnv() map[string]string {
	return redisEnv(databaseEnv(goEnv(map[string]string{
		"CACHE_DIR":                     "{{ .Data.cache }}",
		"CONFIGURATION_MODE":            "server", // else it panics, exit 2 (observed, 3.38)
		"SEARCHER_URL":                  `{{ .PeerURL "searcher" "http" }}`,
		"SITE_CONFIG_ESCAPE_HATCH_PATH": "{{ .Data.config }}/site-config.json",
		"SRC_GIT_SERVERS":               `{{ .Peer "gitserver" "http" }}`,
		"SRC_HTTP_ADDR":                 "{{ .Address.http }}",
		"SRC_HTTP_ADDR_INTERNAL":        "{{ .Address.internal }}",
	})))
}

func frontendVariants() []Variant {
	value := func(s string) *string { return &s }
	return []Variant{{
		In:  []Releases{{sourcegraph, "3.38", ""}},
		Why: "endpoints of services that the demo does not have. src: sourcegraph: internal/search/env.go @3.38",
		Change: Override{Env: map[string]*string{
			"INDEXED_SEARCH_SERVERS": value(`{{ .PeerOr "zoekt-webserver" "http" "127.0.0.1:6070" }}`),
			"SRC_SYNTECT_SERVER":     value(`http://{{ .PeerOr "syntax-highlighter" "http" "127.0.0.1:9238" }}`),
		}},
	}, {
		In:  []Releases{{sourcegraph, "3.38", "6.4"}},
		Why: "symbols and repo-updater are services of their own until 6.4. src: sourcegraph/docs: technical-changelog 6.4.0",
		Change: Override{Env: map[string]*string{
			"SYMBOLS_URL":      value(`http://{{ .PeerOr "symbols" "http" "127.0.0.1:3184" }}`),
			"REPO_UPDATER_URL": value(`http://{{ .PeerOr "repo-updater" "http" "127.0.0.1:3182" }}`),
		}},
	}, {
		In:     []Releases{{sourcegraph, "3.38", "5.3"}},
		Why:    "github-proxy exists until 5.2. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v5.2.7",
		Change: Override{Env: map[string]*string{"GITHUB_BASE_URL": value(`http://{{ .PeerOr "github-proxy" "http" "127.0.0.1:3180" }}`)}},
	}, {
		In:     []Releases{{sourcegraph, "6.4", ""}},
		Why:    "it asks the index server for the state of an index. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453",
		Change: Override{Env: map[string]*string{"INDEXED_SEARCH_INDEXER": value(`{{ .PeerOr "zoekt-sourcegraph-indexserver" "http" "127.0.0.1:6072" }}`)}},
	}, {
		In:     []Releases{{sourcegraph, "5.0", ""}},
		Why:    "the image's command. src: sourcegraph-public-snapshot: cmd/frontend/internal/cli",
		Change: Override{Args: []string{"serve"}},
	}}
}
