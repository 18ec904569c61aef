package services

import (
	"syscall"
	"time"
)

const (
	zoektUser  = "sg-zoekt" // one account for both: the web server reads files that only their owner may
	indexData  = "index"
	indexFiles = "shared/index/16/{{ .Number }}" // by version of the format. src: sourcegraph/zoekt: index/toc.go (IndexFormatVersion 16)
)

// zoektEnv is what both get. HOSTNAME is the name by which the indexer asks for its repositories.
// src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453
func zoektEnv(more map[string]string) map[string]string {
	return mergeEnv(map[string]string{
		"DATA_DIR": "{{ .Data.index }}",
		"HOSTNAME": "{{ .PeerHere \"zoekt-webserver\" \"http\" }}",
	}, pointers(more))
}

// zoektVariants are the differences between the families that both share.
func zoektVariants() []Variant {
	return []Variant{{
		In:     between("4.0", ""),
		Why:    "tracing by OpenTelemetry came. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v5.2.7",
		Beside: Beside{"otel-collector": {"OPENTELEMETRY_DISABLED": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": `{{ .PeerURL "otel-collector" "grpc" }}`}},
	}, {
		In:        between("5.0", ""),
		Why:       "it logs as Sourcegraph's own services do. src: sourcegraph/zoekt: cmd/zoekt-webserver/main.go",
		Change:    changes(map[string]string{"SRC_LOG_FORMAT": "json", "SRC_LOG_LEVEL": "info"}),
		LogFormat: "json",
	}}
}

// zoektWebserver answers searches from the index.
// src: sourcegraph/zoekt: cmd/zoekt-webserver/main.go; sourcegraph/docs: observability/health-checks
func zoektWebserver() Definition {
	return Definition{
		Name:     "zoekt-webserver",
		Kind:     KindService,
		Releases: throughout(),
		Spare:    true,
		Loss:     "searches of default branches find nothing, or take very long",
		Command:  []string{"zoekt-webserver", "-index", "{{ .Data.index }}", "-listen", "{{ .Address.http }}", "-pprof", "-rpc"},
		Env:      zoektEnv(map[string]string{"GOGC": "25"}), // src: the image's. sourcegraph: docker-images/indexed-searcher/Dockerfile @3.38
		Ports:    []Port{{Name: "http", Number: 6070}},
		User:     zoektUser,
		Data:     []Data{{Name: indexData, Path: indexFiles, Class: DataCache, Of: "zoekt-sourcegraph-indexserver"}},
		// A search of its own: 500 until it works.
		Ready: readyHTTP("/healthz", "http"),
		Live:  &Probe{HTTP: "/healthz", Port: "http", Every: time.Minute, Timeout: 5 * time.Second, Failures: 10}, // src: helm: templates/indexed-search (period 60, 10 failures)
		// Loading a big index. src: helm: templates/indexed-search (a delay of 120 s, then 10 failures of 60 s)
		Start: Start{Timeout: 12 * time.Minute},
		Stop:  goStop(),
		Restart: Restart{Max: 30 * time.Second, ResetAfter: time.Second, Codes: map[int]string{
			3: "its own watchdog found it hung three times in a row: look at the disk and at vm.max_map_count", // src: cmd/zoekt-webserver/main.go
		}},
		Log:    serviceLog("go"),
		Budget: Budget{Memory: 50 * gib, CPUWeight: 200, Pids: 512}, // memory: compose @v7.5.4453
		// Floor: 259 MB busy (observed, 3.38). Share: GB of the machine image of size M.
		Demand:   Demand{Floor: 320 * mib, Share: 12, Elastic: ElasticCache, OOMRank: 3, Knobs: goKnobs(Knob{Name: "GOGC", Of: OfMemory, Why: "25 as in the image; a higher one where memory is left"})},
		Metrics:  &Metrics{Port: "http", Path: "/metrics"},
		Replicas: Replicas{Max: 64, Driver: "repositories", Identity: true},
		Switch:   SideBySide, // it only reads
		Snapshot: SnapshotShared,
		Variants: append(zoektVariants(), Variant{
			In:     between("5.0", ""),
			Why:    "it passes questions about the state of an index on to the indexer beside it. src: sourcegraph/zoekt: cmd/zoekt-webserver/main.go",
			Change: Override{Args: []string{"-indexserver_proxy"}},
		}),
	}
}

// zoektIndexserver makes the index. Its address is data: the frontend gives it the repositories that hash to its web server's entry in
// INDEXED_SEARCH_SERVERS, and it exits 1 when another writes into its directory.
// src: sourcegraph/zoekt: cmd/zoekt-sourcegraph-indexserver/{main,owner}.go
func zoektIndexserver() Definition {
	return Definition{
		Name:     "zoekt-sourcegraph-indexserver",
		Kind:     KindService,
		Releases: throughout(),
		Spare:    true,
		Loss:     "the index grows stale, and new repositories get none",
		Command: []string{
			"zoekt-sourcegraph-indexserver", "-sourcegraph_url", `{{ .PeerURL "frontend" "internal" }}`, "-index", "{{ .Data.index }}", "-interval", "1m",
			"-listen", "{{ .Address.http }}", "-hostname", `{{ .PeerHere "zoekt-webserver" "http" }}`, "-cpu_fraction", "0.5",
		},
		Env: zoektEnv(map[string]string{
			"CTAGS_COMMAND":         "universal-ctags",
			"SRC_FRONTEND_INTERNAL": `{{ .PeerURL "frontend" "internal" }}`, // a URL here. src: compose @v7.5.4453
		}),
		Ports: []Port{{Name: "http", Number: 6072}},
		User:  zoektUser,
		Wants: []string{"frontend", "gitserver"}, // it retries for ever. src: cmd/zoekt-sourcegraph-indexserver/main.go
		Data: []Data{{
			Name: indexData, Path: indexFiles, Class: DataCache,
			Identity: "owner.txt in it names its web server's address, and one writer at a time may exist",
		}},
		// Any path answers 200 (observed, 3.38).
		Ready: readyHTTP("/metrics", "http"),
		Live:  &Probe{HTTP: "/metrics", Port: "http", Every: time.Minute, Timeout: 5 * time.Second, Failures: 10}, // as patient as its web server's
		Start: Start{Timeout: time.Minute},
		// No handler; the whole group, since a zoekt-git-index of 355 MB ran on as an orphan for 19.7 s (observed, 3.38).
		Stop: Stop{Signal: syscall.SIGTERM, To: ToGroup, Grace: 10 * time.Second},
		Restart: Restart{
			Max: 30 * time.Second, ResetAfter: time.Second,
			Final: Final{
				Log:    "detected a change of ownership", // src: cmd/zoekt-sourcegraph-indexserver/owner.go
				Remedy: "see which other indexserver writes to the same directory, and end it",
			},
		},
		Log:    serviceLog("go"),
		Budget: Budget{Memory: 16 * gib, CPUWeight: 50, Pids: 1024}, // memory: compose @v7.5.4453; searches come first
		// Floor: 45 MB and 355 for one zoekt-git-index (observed, 3.38). Share: GB of the machine image of size M.
		Demand: Demand{Floor: 448 * mib, Share: 12, Elastic: ElasticLoad, OOMRank: 5, Knobs: goKnobs(
			Knob{Name: "-cpu_fraction", Of: OfCPUs, Percent: 50, Why: "of the CPUs for indexing. src: observed, 3.38; the single container took 0.25, the image 1.0"},
		)},
		Metrics:  &Metrics{Port: "http", Path: "/metrics"},
		Replicas: Replicas{Max: 64, Driver: "repositories", Identity: true, With: "zoekt-webserver"},
		Switch:   StopThenStart, // one writer
		Snapshot: SnapshotShared,
		Variants: zoektVariants(),
	}
}
