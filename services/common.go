package services

import (
	"maps"
	"syscall"
	"time"
)

const (
	sourcegraph = "sourcegraph"
	demo        = "demo"
)

const (
	mib = int64(1) << 20
	gib = int64(1) << 30
)

// everywhere is every version of Sourcegraph that is defined, and of the demo.
// src: sourcegraph/deploy-sourcegraph-docker: docker-compose/docker-compose.yaml @v3.38.0, v5.2.7, v6.4.0, v7.5.4453
func everywhere() []Releases { return append(throughout(), Releases{demo, "", ""}) }

// throughout is every version of Sourcegraph that is defined.
func throughout() []Releases { return []Releases{{sourcegraph, "3.38", ""}} }

// goStop is how Sourcegraph's Go services end: TERM, then 10 s for requests in flight (SRC_GRACEFUL_SHUTDOWN_TIMEOUT), to which we add 5 s for a busy machine.
// A request in flight made TERM take 10.0 s (observed, 3.38). src: sourcegraph: internal/goroutine/background.go @3.38
func goStop() Stop { return Stop{Signal: syscall.SIGTERM, To: ToMain, Grace: 15 * time.Second} }

// goRestart never counts the exit 1 that follows a pushed DSN as a failure; it comes within 13 s (observed, 3.38).
// src: sourcegraph: internal/conf/service_watcher.go @3.38. The ceiling of 30 s is ours.
func goRestart() Restart {
	return Restart{Max: 30 * time.Second, ResetAfter: time.Second, Expected: "Detected settings change"}
}

func plainRestart() Restart { return Restart{Max: 30 * time.Second, ResetAfter: time.Second} }

// goLive is patient: the debug port of a Go service answers within a millisecond, so three misses of 5 s are a hang, not load.
// src: sourcegraph: internal/debugserver/debug.go @3.38 (/healthz is 200 as soon as the process serves).
func goLive() *Probe {
	return &Probe{HTTP: "/healthz", Port: "debug", Every: 10 * time.Second, Timeout: 5 * time.Second, Failures: 3}
}

// readyHTTP probes as compose does: every 10 s, and not ready after 3 misses.
// src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453 (healthcheck)
func readyHTTP(path, port string) *Probe {
	return &Probe{HTTP: path, Port: port, Every: 10 * time.Second, Timeout: 5 * time.Second, Failures: 3}
}

func goMetrics() *Metrics { return &Metrics{Port: "debug", Path: "/metrics"} }

// serviceLog keeps 80 MB at most of a service's output. The numbers are ours.
func serviceLog(format string) Log { return Log{MaxSize: 16 << 20, Keep: 4, Format: format} }

// goEnv is what every Go service of Sourcegraph gets beside what every service gets.
//
// SRC_PROF_HTTP: default :6060 for all, so the second service on the host exits 1 (observed, 3.38). src: sourcegraph: internal/debugserver/debug.go @3.38
// DEPLOY_TYPE: empty means Kubernetes: 5 s of sleep before shutdown, and cluster defaults. src: sourcegraph-public-snapshot: internal/conf/deploy/deploytype.go
// SRC_LOG_FORMAT: condensed, the other default, prints colour without a terminal (observed, 3.38). src: sourcegraph: internal/logging @3.38
func goEnv(more ...map[string]string) map[string]string {
	env := map[string]string{
		"DEPLOY_TYPE":           "docker-container",
		"PGTZ":                  "UTC",
		"SRC_FRONTEND_INTERNAL": `{{ .Peer "frontend" "internal" }}`,
		"SRC_LOG_FORMAT":        "logfmt",
		"SRC_LOG_LEVEL":         "info",
		"SRC_PROF_HTTP":         "{{ .Address.debug }}",
	}
	for _, m := range more {
		maps.Copy(env, m)
	}
	return env
}

// changes makes the environment of a variant.
func changes(env map[string]string) Override { return Override{Env: pointers(env)} }

// goVariants are the differences between the families that all Go services share.
func goVariants(more ...Variant) []Variant {
	return append([]Variant{{
		In:     between("4.0", ""),
		Why:    "tracing by OpenTelemetry came; the empty string turns it off. src: sourcegraph/docs: self-hosted/observability/opentelemetry",
		Change: changes(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": ""}),
		Beside: Beside{"otel-collector": {"OTEL_EXPORTER_OTLP_ENDPOINT": `{{ .PeerURL "otel-collector" "grpc" }}`}},
	}, {
		In:        between("5.0", ""),
		Why:       "logfmt is a legacy format that newer loggers print as condensed, with colour. src: sourcegraph/docs: self-hosted/observability/logs",
		Change:    changes(map[string]string{"SRC_LOG_FORMAT": "json"}),
		LogFormat: "json",
	}, {
		In:     between("7.0", ""),
		Why:    "the single container is gone, docker-compose is the value that its successor sets. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453",
		Change: changes(map[string]string{"DEPLOY_TYPE": "docker-compose"}),
	}}, more...)
}

// jaegerAgent is where the families before OpenTelemetry send traces. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v3.38.0
func jaegerAgent() Variant {
	return Variant{
		In:     between("3.38", "4.0"),
		Why:    "traces go to Jaeger's agent over UDP. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v3.38.0",
		Beside: Beside{"jaeger": {"JAEGER_AGENT_HOST": loopback, "JAEGER_AGENT_PORT": `{{ .PeerPort "jaeger" "compact" }}`}},
	}
}

// loopbackBefore5 binds a service to loopback in the versions that offer only this switch for it.
func loopbackBefore5(ports ...Port) Variant {
	for i := range ports {
		ports[i].Fixed, ports[i].Bind = true, BindSwitch
	}
	return Variant{
		In:     between("3.38", "5.0"),
		Why:    "its port is a constant, and it binds all interfaces otherwise (observed, 3.38). src: sourcegraph: cmd/*/main.go, internal/httpserver/listener.go @3.38",
		Change: changes(map[string]string{"INSECURE_DEV": "true"}),
		Ports:  ports,
	}
}

// openFrom5 says that nothing binds a constant port any more: INSECURE_DEV loosens security in these versions.
func openFrom5(ports ...Port) Variant {
	for i := range ports {
		ports[i].Fixed, ports[i].Bind = true, BindAll
	}
	return Variant{
		In:    between("5.0", ""),
		Why:   "the port is a constant without a host, and INSECURE_DEV is no switch for a server with users. src: sourcegraph-public-snapshot: cmd/*/shared/main.go",
		Ports: ports,
	}
}

// postgresEnv is one family of libpq variables: prefix "" (frontend), CODEINTEL_ or CODEINSIGHTS_. Only frontend and migrator read them.
// src: sourcegraph: internal/database/postgresdsn @3.38
func postgresEnv(env map[string]string, prefix, database string) {
	env[prefix+"PGHOST"] = loopback
	env[prefix+"PGPORT"] = `{{ .PeerPort "postgres" "postgres" }}`
	env[prefix+"PGUSER"] = postgresUser
	env[prefix+"PGPASSWORD"] = "{{ .Secret.postgres }}"
	env[prefix+"PGDATABASE"] = database
	env[prefix+"PGSSLMODE"] = "disable"
}

// databaseEnv is all three families. Three databases of one server, since the same DSN for frontend and codeintel is refused
// (CODEINTEL_PG_ALLOW_SINGLE_DB is not needed). src: sourcegraph: internal/database/postgresdsn @3.38
func databaseEnv() map[string]string {
	env := map[string]string{}
	postgresEnv(env, "", databaseFrontend)
	postgresEnv(env, "CODEINTEL_", databaseCodeIntel)
	postgresEnv(env, "CODEINSIGHTS_", databaseCodeInsights)
	return env
}

// redisEnv names both servers. src: sourcegraph: internal/redispool @3.38 (host:port or a redis:// URL)
func redisEnv() map[string]string {
	env := map[string]string{}
	for name, service := range map[string]string{"REDIS_CACHE_ENDPOINT": "redis-cache", "REDIS_STORE_ENDPOINT": "redis-store"} {
		env[name] = `redis://:{{ .Secret.redis }}@{{ .Peer "` + service + `" "redis" }}`
	}
	return env
}
