package services

import "time"

// githubProxy passes requests on to github.com, one at a time for each token.
// src: sourcegraph: cmd/github-proxy/github-proxy.go @3.38; last in sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v5.2.7.
// The catalog knows no debug port of its own on one host; 6062 is free there.
func githubProxy() Definition {
	http := Port{Name: "http", Number: 3180}
	return Definition{
		Name:     "github-proxy",
		Kind:     KindService,
		Releases: between("3.38", "5.3"),
		Spare:    true,
		Loss:     "repositories on github.com are neither found nor fetched, and their permissions grow stale",
		Command:  []string{"github-proxy"},
		Env:      goEnv(map[string]string{"LOG_REQUESTS": "false"}),
		Ports:    []Port{http, {Name: "debug", Number: 6062}},
		Wants:    []string{"frontend"}, // for what its traces are set to; it serves without. src: sourcegraph: cmd/github-proxy/github-proxy.go @3.38
		// Never its main port: every path of it is forwarded to a public API (observed, 3.38).
		Ready:   readyHTTP("/ready", "debug"),
		Live:    goLive(),
		Start:   Start{Timeout: time.Minute},
		Stop:    goStop(),
		Restart: goRestart(),
		Log:     serviceLog("logfmt"),
		Budget:  Budget{Memory: gib, CPUWeight: 50, Pids: 256}, // memory: compose @v5.2.7
		// Floor: 20 MB (observed, 3.38), twice that. Share: compose's GB.
		Demand:   Demand{Floor: 48 * mib, Share: 1, Elastic: ElasticLoad, OOMRank: 3, Knobs: goKnobs()},
		Outbound: []Destination{{To: "api.github.com", What: "all that the others ask GitHub for", Off: "no connection to github.com"}},
		Metrics:  goMetrics(),
		Replicas: Replicas{Max: 1, Once: "it counts the requests of all services"},
		Switch:   StopThenStart,
		Snapshot: SnapshotNever,
		Variants: goVariants(jaegerAgent(), loopbackBefore5(http), openFrom5(http)),
	}
}
