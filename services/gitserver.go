package services

import "time"

// gitserver clones and serves repositories. Its address is data: a repository belongs to the server that its name hashes to.
// src: sourcegraph: cmd/gitserver/main.go @3.38; sourcegraph-public-snapshot: cmd/gitserver/shared/config.go; cmd/server/shared/globals.go @3.38 (debug port 6068)
func gitserver() Definition {
	return Definition{
		Name:     "gitserver",
		Kind:     KindService,
		Releases: everywhere(),
		Loss:     "files cannot be viewed, nothing is cloned or fetched, and searches of revisions without an index fail",
		Command:  []string{"gitserver"},
		Env: redisEnv(goEnv(map[string]string{
			"GITSERVER_ADDR":          "{{ .Address.http }}",
			"GITSERVER_EXTERNAL_ADDR": "{{ .Address.http }}",
			"HOSTNAME":                "{{ .Address.http }}", // must equal an entry of SRC_GIT_SERVERS (observed, 3.38)
			"SRC_GIT_SERVERS":         `{{ .Peer "gitserver" "http" }}`,
			"SRC_REPOS_DIR":           "{{ .Data.repos }}",
		})),
		Ports: []Port{{Name: "http", Number: 3178}, {Name: "debug", Number: 6068}},
		// It opens no port until the frontend has answered, and takes its database's address from there (observed, 3.38).
		Needs: []string{"frontend"},
		Data: []Data{
			{Name: "repos", Path: "shared/repos/{{ .Number }}", Class: DataCache, Identity: "a janitor may delete clones that belong to another address"},
			{Name: homeData, Path: "data/gen-{{ .Generation }}/gitserver-home/{{ .Number }}", Class: DataState}, // .ssh, .netrc and .gitconfig of the site
		},
		// /healthz is 404 on its main port (observed, 3.38).
		Ready:    readyHTTP("/ping", "http"),
		Live:     goLive(),
		Start:    Start{Timeout: 2 * time.Minute}, // src: sourcegraph/deploy-sourcegraph-helm: templates/gitserver (start-up probe 120 × 1 s, for the move of 6.2)
		Stop:     goStop(),                        // during a clone 0.6–10.2 s (observed, 3.38)
		Restart:  goRestart(),
		Log:      serviceLog("logfmt"),
		Budget:   Budget{Memory: 8 << 30, CPUWeight: 100, Pids: 4096}, // memory: compose @v7.5.4453; pids is ours: a git per request
		Metrics:  goMetrics(),
		Replicas: Replicas{Max: 64, Driver: "repositories", Identity: true},
		Switch:   StopThenStart, // no lock: a second one empties the live one's .tmp before it fails to bind (observed, 3.38)
		Snapshot: SnapshotShared,
		Variants: goVariants(loopbackBefore5(), Variant{
			In:    []Releases{{sourcegraph, "3.38", "5.0"}},
			Why:   "the port is a constant. src: sourcegraph: cmd/gitserver/main.go @3.38",
			Fixed: []string{"http"},
		}),
	}
}
