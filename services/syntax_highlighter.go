package services

import (
	"syscall"
	"time"
)

// syntaxHighlighter colours files. The image runs four of it behind http-server-stabilizer, which kills the one that hangs on a file; here
// one runs as in the single container, and liveness does the same: for a moment files are shown plain. Its one process needs a quarter of the memory,
// and no port that nobody assigned.
// src: sourcegraph: docker-images/syntax-highlighter/Dockerfile, cmd/server/shared/shared.go @3.38; sourcegraph-public-snapshot: docker-images/syntax-highlighter/BUILD.bazel
func syntaxHighlighter() Definition {
	return Definition{
		Name:     "syntax-highlighter",
		Kind:     KindService,
		Releases: throughout(),
		Spare:    true,
		Loss:     "files are shown without colours",
		Command:  []string{"syntect_server"},
		Env: map[string]string{
			"QUIET":          "true", // else a line for each request
			"ROCKET_ADDRESS": loopback,
			"ROCKET_ENV":     "production",
			// With it, clients see resets. src: docker-images/syntax-highlighter/BUILD.bazel
			"ROCKET_KEEP_ALIVE": "0",
			"ROCKET_LIMITS":     "{json=10485760}",
			"ROCKET_PORT":       "{{ .Port.http }}",
			// Public on purpose: it silences a warning, there are no cookies. src: docker-images/syntax-highlighter/Dockerfile @3.38
			"ROCKET_SECRET_KEY": "SeerutKeyIsI7releuantAndknvsuZPluaseIgnorYA=",
		},
		Ports:   []Port{{Name: "http", Number: 9238}},
		Ready:   readyHTTP("/health", "http"),
		Live:    &Probe{HTTP: "/health", Port: "http", Every: 10 * time.Second, Timeout: 10 * time.Second, Failures: 3}, // as patient as the stabilizer's 10 s
		Without: Without{Metrics: "only the stabilizer of the image has them"},
		Start:   Start{Timeout: time.Minute},
		Stop:    Stop{Signal: syscall.SIGTERM, To: ToMain, Grace: 5 * time.Second}, // it holds nothing
		Restart: plainRestart(),
		Log:     serviceLog("plain"),
		Budget:  Budget{Memory: 2 * gib, CPUWeight: 100, Pids: 256}, // a quarter of compose's 6 GB for four, and room for the grammars
		// Floor: its grammars are about 400 MB of the 1–2 GB that four take. Share: compose's GB for one.
		Demand:   Demand{Floor: 512 * mib, Share: 2, Elastic: ElasticLoad, OOMRank: 4},
		Replicas: Replicas{Max: 1, Driver: ""},
		Switch:   SideBySide,
		Snapshot: SnapshotNever,
	}
}
