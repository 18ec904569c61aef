package services

import "time"

// symbolsCacheMB is 45 % of helm's volume of 12 GiB; the default of 100 GB fills a small disk. src: sourcegraph/deploy-sourcegraph-helm: values.yaml @wip-5.3.666
const symbolsCacheMB = "5400"

// symbols finds definitions with ctags, in databases of its own that it keeps on disk; since 6.4 searcher does its work.
// It exits 1 when universal-ctags is built without JSON or a language that it asks for (observed, 3.38).
// src: sourcegraph: cmd/symbols/shared/main.go, cmd/symbols/types/types.go @3.38; cmd/server/shared/globals.go @3.38 (debug port 6071)
func symbols() Definition {
	http := Port{Name: "http", Number: 3184}
	return Definition{
		Name:     "symbols",
		Kind:     KindService,
		Releases: between("3.38", "6.4"),
		Spare:    true,
		Loss:     "the list of symbols stays empty, and navigation that rests on search fails",
		Command:  []string{"symbols"},
		Env: goEnv(redisEnv(), map[string]string{
			"CACHE_DIR":             "{{ .Data.cache }}",
			"CTAGS_COMMAND":         "universal-ctags",
			"SRC_GIT_SERVERS":       `{{ .Peer "gitserver" "http" }}`,
			"SYMBOLS_CACHE_SIZE_MB": symbolsCacheMB,
		}),
		Ports: []Port{http, {Name: "debug", Number: 6071}},
		Needs: []string{"frontend"}, // for its configuration. src: sourcegraph: internal/conf/client.go @3.38
		Wants: []string{"gitserver"},
		Data:  []Data{{Name: "cache", Path: "shared/cache/symbols/{{ .Number }}", Class: DataCache}},
		Ready: readyHTTP("/healthz", "http"),
		Live:  goLive(),
		Start: Start{Timeout: time.Minute}, // src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v5.11.6271 (start_period 60s)
		Stop:  goStop(), Restart: goRestart(),
		Log:    serviceLog("logfmt"),
		Budget: Budget{Memory: 4 * gib, CPUWeight: 100, Pids: 1024}, // memory: compose @v5.11.6271
		// Floor: 66 MB busy and 10 for each of 4 ctags (observed, 3.38). Share: GB of the machine image of size M.
		Demand: Demand{Floor: 128 * mib, Share: 4, Elastic: ElasticLoad, OOMRank: 4, Knobs: goKnobs(Knob{
			Name: "SYMBOLS_CACHE_SIZE_MB", Of: OfDisk, Percent: 45,
			Why: "of the volume, in MB. src: sourcegraph/deploy-sourcegraph-helm: values.yaml @wip-5.3.666 (12 GiB)",
		})},
		Metrics:  goMetrics(),
		Replicas: Replicas{Max: 1, Once: "its port is a constant in every version"},
		Switch:   StopThenStart, // for the same reason
		Snapshot: SnapshotNever,
		Variants: goVariants(jaegerAgent(), loopbackBefore5(http), openFrom5(http)),
	}
}
