package services

import "time"

// repoUpdater finds new repositories and schedules fetches; since 6.4 worker does its work. Its queue is in memory: never two of them.
// src: sourcegraph: cmd/repo-updater/shared/main.go @3.38; cmd/server/shared/globals.go @3.38 (debug port 6074)
func repoUpdater() Definition {
	http := Port{Name: "http", Number: 3182}
	return Definition{
		Name:     "repo-updater",
		Kind:     KindService,
		Releases: between("3.38", "6.4"),
		Loss:     "new repositories are not found, those there are are not fetched, and permissions grow stale",
		Command:  []string{"repo-updater"},
		Env: goEnv(redisEnv(), map[string]string{
			"SRC_GIT_SERVERS": `{{ .Peer "gitserver" "http" }}`,
		}),
		Ports: []Port{http, {Name: "debug", Number: 6074}},
		Needs: []string{"frontend"},
		Wants: []string{"gitserver", "github-proxy"},
		// 503 until the frontend has answered and the database is connected (observed, 3.38).
		Ready:   readyHTTP("/ready", "debug"),
		Live:    goLive(),
		Start:   Start{Timeout: 5 * time.Minute},
		Stop:    goStop(),
		Restart: goRestart(),
		Log:     serviceLog("logfmt"),
		Budget:  Budget{Memory: 4 * gib, CPUWeight: 100, Pids: 512}, // memory: compose @v5.11.6271
		// Floor: 60 MB (observed, 3.38), twice that. Share: GB of the machine image of size M.
		Demand:   Demand{Floor: 128 * mib, Share: 4, Elastic: ElasticLoad, OOMRank: 3, Knobs: goKnobs()},
		Metrics:  goMetrics(),
		Replicas: Replicas{Max: 1, Once: "the repository scheduler keeps its queue in memory"}, // src: sourcegraph/docs: self-hosted/deploy/scale
		Switch:   StopThenStart,
		Snapshot: SnapshotNever,
		Outbound: []Destination{codeHosts("lists of repositories, permissions")},
		Variants: goVariants(jaegerAgent(), loopbackBefore5(http), openFrom5(http), Variant{
			In:     between("3.38", "5.3"),
			Why:    "it calls github.com through github-proxy. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v3.38.0",
			Change: changes(map[string]string{"GITHUB_BASE_URL": `{{ .PeerURL "github-proxy" "http" }}`}),
		}),
	}
}
