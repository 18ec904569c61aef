package services

import "time"

// executor runs jobs of batch changes and of automatic indexing: code that anybody who may write a batch change chooses.
// src: sourcegraph/docs: self-hosted/executors; sourcegraph: enterprise/cmd/executor @3.38; sourcegraph/deploy-sourcegraph-docker:
// docker-compose/executors/executor.docker-compose.yaml @v7.5.4453 (1 CPU, 4g)
func executor() Definition {
	return thirdParty(Definition{
		Name:     "executor",
		Releases: from("3.38"),
		Optional: "it runs code of others, and this machine holds the site's secrets: give it a machine of its own; to run it here all the same, its user needs the Docker socket, " +
			"and executors.accessToken in the site configuration must equal the generated secret executor",
		Loss:    "batch changes that run on the server and automatic indexing wait in their queues",
		Command: []string{"executor", "run"},
		Env: map[string]string{
			"EXECUTOR_FRONTEND_URL":               `{{ .PeerURL "frontend" "http" }}`,
			"EXECUTOR_FRONTEND_PASSWORD":          "{{ .Secret.executor }}",
			"EXECUTOR_QUEUE_NAMES":                "batches,codeintel",
			"EXECUTOR_USE_FIRECRACKER":            "false", // it needs KVM and root; containers are the isolation that any machine has
			"EXECUTOR_MAXIMUM_NUM_JOBS":           "1",
			"EXECUTOR_DOCKER_REGISTRY_MIRROR_URL": `{{ .Running "docker-mirror" "http" "http://" }}`,
			"TMPDIR":                              "{{ .Data.workspaces }}",
			"SRC_LOG_FORMAT":                      "json",
			"SRC_LOG_LEVEL":                       "info",
			"SRC_PROF_HTTP":                       "{{ .Address.debug }}",
		},
		Ports: []Port{{Name: "debug", Number: 6092}}, // src: sourcegraph: sg.config.yaml @3.38
		Needs: []string{"frontend"},
		Wants: []string{"docker-mirror"},
		Data:  []Data{{Name: "workspaces", Path: "shared/executor", Class: DataNone}},
		Ready: readyHTTP("/healthz", "debug"),
		Live:  goLive(),
		// It drops or finishes the job at hand; what it drops is queued again when its heartbeat is missed.
		Stop:     plainStop(30 * time.Second),
		Log:      serviceLog("json"),
		Budget:   Budget{Memory: 4 << 30, CPUWeight: 50, Pids: 4096}, // memory: compose @v7.5.4453
		Metrics:  goMetrics(),
		Outbound: executorDestinations(),
		Variants: []Variant{executorOneQueue()},
	})
}

func executorOneQueue() Variant {
	queue := "batches"
	return Variant{
		In:     between("3.38", "5.1"),
		Why:    "one executor works on one queue; a second needs a machine of its own. src: sourcegraph/docs: self-hosted/executors (EXECUTOR_QUEUE_NAMES)",
		Change: Override{Env: map[string]*string{"EXECUTOR_QUEUE_NAMES": nil, "EXECUTOR_QUEUE_NAME": &queue}},
	}
}
