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
		Env: goEnv(redisEnv(), map[string]string{
			"GITSERVER_ADDR":          "{{ .Address.http }}",
			"GITSERVER_EXTERNAL_ADDR": "{{ .Address.http }}",
			"HOSTNAME":                "{{ .Address.http }}", // must equal an entry of SRC_GIT_SERVERS (observed, 3.38)
			"SRC_GIT_SERVERS":         `{{ .Peer "gitserver" "http" }}`,
			"SRC_REPOS_DIR":           "{{ .Data.repos }}",
		}),
		Ports: []Port{{Name: "http", Number: 3178}, {Name: "debug", Number: 6068}},
		// It opens no port until the frontend has answered, and takes its database's address from there (observed, 3.38).
		Needs: []string{"frontend"},
		Data: []Data{
			{Name: "repos", Path: "shared/repos/{{ .Number }}", Class: DataCache, Identity: "a janitor may delete clones that belong to another address"},
			{Name: homeData, Path: "data/gen-{{ .Generation }}/gitserver-home/{{ .Number }}", Class: DataState, Moves: "the site's .ssh, .netrc and .gitconfig are written to that of each replica"},
		},
		// /healthz is 404 on its main port (observed, 3.38).
		Ready:   readyHTTP("/ping", "http"),
		Live:    goLive(),
		Start:   Start{Timeout: 2 * time.Minute}, // src: sourcegraph/deploy-sourcegraph-helm: templates/gitserver (start-up probe 120 × 1 s, for the move of 6.2)
		Stop:    goStop(),                        // during a clone 0.6–10.2 s (observed, 3.38)
		Restart: goRestart(),
		Log:     serviceLog("logfmt"),
		Budget:  Budget{Memory: 8 * gib, CPUWeight: 100, Pids: 4096}, // memory: compose @v7.5.4453; pids is ours: a git per request
		// Floor: 59 MB busy (observed, 3.38) and a git beside it. Share: GB of the machine image of size M.
		Demand:   Demand{Floor: 256 * mib, Share: 26, Elastic: ElasticCache, OOMRank: 3, Knobs: goKnobs()},
		Metrics:  goMetrics(),
		Replicas: Replicas{Max: 64, Driver: "repositories", Identity: true},
		Switch:   StopThenStart, // no lock: a second one empties the live one's .tmp before it fails to bind (observed, 3.38)
		Snapshot: SnapshotShared,
		Outbound: []Destination{codeHosts("it clones and fetches, through the proxy unless by ssh:// or git://")},
		Variants: goVariants(gitserverVariants()...),
	}
}

func gitserverVariants() []Variant {
	return append([]Variant{jaegerAgent(), {
		In:  between("3.38", "5.0"),
		Why: "only HOSTNAME says who it is. The switch is what it was observed with; its address is set all the same. src: sourcegraph: cmd/gitserver/main.go @3.38",
		Change: Override{Env: map[string]*string{
			"GITSERVER_EXTERNAL_ADDR": nil,
			"INSECURE_DEV":            pointer("true"),
		}},
	}, {
		In:     between("5.0", "5.3"),
		Why:    "it calls github.com through github-proxy. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v5.2.7",
		Change: changes(map[string]string{"GITHUB_BASE_URL": `{{ .PeerURL "github-proxy" "http" }}`}),
	}}, uploads(sharedUploads())...)
}
