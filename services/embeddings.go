package services

import "time"

// embeddings answers questions of Cody by meaning, from indexes that it loads from object storage into memory. It was deleted in 5.7.
// src: sourcegraph-public-snapshot: cmd/embeddings/shared/{main,config}.go; sg.config.yaml (debug port 6099)
func embeddings() Definition {
	http := Port{Name: "http", Number: 9991}
	return Definition{
		Name:     "embeddings",
		Kind:     KindService,
		Releases: between("5.0.3", "5.7"),
		Spare:    true,
		Loss:     "Cody finds context by keywords only",
		Optional: "only Cody with embeddings asks it, and it holds whole indexes in memory", // off in helm, too: values.yaml @wip-5.3.666
		Command:  []string{"embeddings"},
		Env: goEnv(redisEnv(), map[string]string{
			"EMBEDDINGS_CACHE_SIZE": "3GiB",
			"SRC_GIT_SERVERS":       `{{ .Peer "gitserver" "http" }}`,
		}),
		Ports:   []Port{http, {Name: "debug", Number: 6099}},
		Needs:   []string{"frontend"},
		Wants:   []string{"blobstore"},
		Ready:   readyHTTP("/ready", "debug"),
		Live:    goLive(),
		Start:   Start{Timeout: 5 * time.Minute},
		Stop:    goStop(),
		Restart: goRestart(),
		Log:     serviceLog("json"),
		// Helm's 64 GB are for a company's whole code; its cache defaults to 6 GiB. src: sourcegraph/deploy-sourcegraph-helm: values.yaml @wip-5.3.666; config.go
		Budget: Budget{Memory: 8 * gib, CPUWeight: 100, Pids: 512},
		Demand: Demand{Floor: gib, Share: 8, Elastic: ElasticCache, OOMRank: 5, Knobs: goKnobs(Knob{
			Name: "EMBEDDINGS_CACHE_SIZE", Of: OfMemory, Percent: 40, Why: "an index being loaded needs as much again. The number is ours",
		})},
		Outbound: []Destination{{To: "language models", What: "a question becomes a vector", Off: "embeddings in the site configuration: {\"enabled\": false}"}, siteStore()},
		Metrics:  goMetrics(),
		Replicas: Replicas{Max: 1},
		Switch:   StopThenStart, // its port is a constant
		Snapshot: SnapshotNever,
		Variants: goVariants(append([]Variant{openFrom5(http)}, uploads(embeddingUploads())...)...),
	}
}
