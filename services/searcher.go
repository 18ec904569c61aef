package services

import "time"

// searcher searches revisions that have no index, in archives that it gets from gitserver and keeps on disk; since 6.4 it finds symbols, too.
// src: sourcegraph: cmd/searcher/main.go @3.38; sourcegraph-public-snapshot: cmd/searcher/shared/config.go; cmd/server/shared/globals.go @3.38 (debug port 6069)
func searcher() Definition {
	http := Port{Name: "http", Number: 3181}
	return Definition{
		Name:     "searcher",
		Kind:     KindService,
		Releases: everywhere(),
		Loss:     "searches of revisions without an index fail",
		Command:  []string{"searcher"},
		Env: goEnv(redisEnv(), map[string]string{
			"CACHE_DIR":              "{{ .Data.cache }}",
			"SEARCHER_ADDR":          "{{ .Address.http }}",
			"SEARCHER_CACHE_SIZE_MB": "10000", // the default of 100 GB fills a small disk; 45 % of helm's 26 GiB volume. src: sourcegraph/deploy-sourcegraph-helm: values.yaml
			"SRC_GIT_SERVERS":        `{{ .Peer "gitserver" "http" }}`,
		}),
		Ports: []Port{http, {Name: "debug", Number: 6069}},
		Needs: []string{"frontend"}, // for its configuration. src: sourcegraph: internal/conf/client.go @3.38
		Wants: []string{"gitserver"},
		Data:  []Data{{Name: "cache", Path: "shared/cache/searcher/{{ .Number }}", Class: DataCache}},
		Ready: readyHTTP("/healthz", "http"),
		Live:  goLive(),
		Start: Start{Timeout: time.Minute},
		Stop:  goStop(), Restart: goRestart(),
		Log:    serviceLog("logfmt"),
		Budget: Budget{Memory: 2 * gib, CPUWeight: 100, Pids: 1024}, // memory: compose @v7.5.4453
		// Floor: 91 MB busy (observed, 3.38). Share: GB of the machine image of size M.
		Demand: Demand{Floor: 128 * mib, Share: 12, Elastic: ElasticLoad, OOMRank: 4, Knobs: goKnobs(Knob{
			Name: "SEARCHER_CACHE_SIZE_MB", Of: OfDisk, Percent: 45,
			Why: "of the volume, in MB. src: sourcegraph/deploy-sourcegraph-helm: values.yaml (11700 of 26 GiB)",
		})},
		Metrics:  goMetrics(),
		Replicas: Replicas{Max: 64, Driver: "repositories"},
		Switch:   SideBySide,
		Snapshot: SnapshotNever,
		Variants: goVariants(searcherVariants(http)...),
	}
}

func searcherVariants(http Port) []Variant {
	return append([]Variant{jaegerAgent(), loopbackBefore5(http), {
		In:     between("3.38", "5.0"),
		Why:    "it does not read its address. src: sourcegraph: cmd/searcher/main.go @3.38",
		Change: Override{Env: map[string]*string{"SEARCHER_ADDR": nil}},
	}, {
		In:   between("6.2", "6.4"),
		Why:  "searches of commits and diffs moved here. src: sourcegraph/docs: technical-changelog 6.2.0",
		Loss: "searches of revisions without an index, of commits and of diffs fail",
	}, {
		In:   between("6.4", ""),
		Why:  "symbols' work moved here. src: sourcegraph/docs: technical-changelog 6.4.0",
		Loss: "searches of revisions without an index, of commits, of diffs and of symbols fail, and so does navigation that rests on search",
		Change: changes(map[string]string{
			"CTAGS_COMMAND":         "universal-ctags",
			"SYMBOLS_CACHE_DIR":     "{{ .Data.cache }}/symbols",
			"SYMBOLS_CACHE_SIZE_MB": symbolsCacheMB,
		}),
	}}, uploads(sharedUploads())...)
}
