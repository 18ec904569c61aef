package services

import "time"

// preciseCodeIntelWorker turns uploaded indexes into tables for precise navigation.
// src: sourcegraph: enterprise/cmd/precise-code-intel-worker/main.go @3.38; cmd/server/shared/globals.go @3.38 (debug port 6088)
func preciseCodeIntelWorker() Definition {
	http := Port{Name: "http", Number: 3188}
	d := codeIntelWorker("precise-code-intel-worker", 6088, http)
	d.Releases = throughout()
	d.Loss = "uploaded indexes wait; navigation by those processed before still works"
	// Memory is twice the largest index for each that is worked on. src: sourcegraph/docs: how-to/precise-code-intel-worker-crashloopbackoff
	d.Demand.Share = 35 // GB of the machine image of size M
	d.Replicas = Replicas{Max: 1}
	d.Switch = StopThenStart // its port is a constant in every version
	d.Variants = goVariants(append([]Variant{jaegerAgent(), loopbackBefore5(http), openFrom5(http)}, uploads(indexUploads(), sharedUploads())...)...)
	return d
}

// syntacticCodeIntelWorker indexes by syntax alone what nobody uploads an index for.
// src: sourcegraph-public-snapshot: cmd/syntactic-code-intel-worker/shared/config.go; sourcegraph: sg.config.yaml (debug port 6075)
func syntacticCodeIntelWorker() Definition {
	d := codeIntelWorker("syntactic-code-intel-worker", 6075, Port{Name: "http", Number: 3288})
	d.Releases = between("5.9", "")
	d.Loss = "no new syntactic index is made; navigation falls back to search"
	d.Optional = "Compose does not start it before 6.3, and its indexes serve an experimental navigation"
	d.Env["SYNTACTIC_CODE_INTEL_WORKER_ADDR"] = "{{ .Address.http }}"
	d.Env["SCIP_SYNTAX_PATH"] = "scip-syntax" // beside it in the release. src: cmd/syntactic-code-intel-worker/shared/config.go
	d.Demand.Share = 4                        // compose's GB
	d.Replicas = Replicas{Max: 64, Driver: "size of the largest repository"}
	d.Switch = SideBySide
	on := ""
	d.Variants = goVariants(append([]Variant{{
		In:       between("6.3", ""),
		Why:      "Compose starts it. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v6.3.4167",
		Optional: &on,
	}}, uploads(indexUploads())...)...)
	return d
}

// codeIntelWorker is what both share. The debug port's /ready is 200 while such a worker still waits for object storage with its main port
// closed (observed, 3.38), so only the main port tells.
func codeIntelWorker(name string, debug int, http Port) Definition {
	return Definition{
		Name:    name,
		Kind:    KindService,
		Spare:   true,
		Command: []string{name},
		Env:     goEnv(redisEnv(), map[string]string{"SRC_GIT_SERVERS": `{{ .Peer "gitserver" "http" }}`}),
		Ports:   []Port{http, {Name: "debug", Number: debug}},
		Needs:   []string{"frontend"},
		Wants:   []string{"minio", "blobstore", "gitserver"}, // it waits for its bucket by itself
		Ready:   readyHTTP("/healthz", "http"),
		Live:    goLive(),
		Start:   Start{Timeout: 5 * time.Minute},
		Stop:    goStop(),
		Restart: goRestart(),
		Log:     serviceLog("logfmt"),
		Budget:  Budget{Memory: 4 * gib, CPUWeight: 50, Pids: 512}, // memory: compose @v7.5.4453; background work gives way
		// Floor: 71 MB idle (observed, 3.38), twice that for a small index.
		Demand:   Demand{Floor: 160 * mib, Elastic: ElasticLoad, OOMRank: 5, Knobs: goKnobs()},
		Outbound: []Destination{siteStore()},
		Metrics:  goMetrics(),
		Snapshot: SnapshotNever,
	}
}
