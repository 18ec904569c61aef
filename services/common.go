package services

import (
	"syscall"
	"time"
)

const (
	sourcegraph = "sourcegraph"
	demo        = "demo"
)

// everywhere is every version of Sourcegraph that is defined, and of the demo.
// src: sourcegraph/deploy-sourcegraph-docker: docker-compose/docker-compose.yaml @v3.38.0, v5.2.7, v6.4.0, v7.5.4453 carries all services defined here.
func everywhere() []Releases { return []Releases{{sourcegraph, "3.38", ""}, {demo, "", ""}} }

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
// OTEL_EXPORTER_OTLP_ENDPOINT: the empty string turns export off. src: sourcegraph/docs: self-hosted/observability/opentelemetry
func goEnv(more map[string]string) map[string]string {
	text := func(s string) *string { return &s }
	env := map[string]*string{}
	for name, value := range more {
		env[name] = text(value)
	}
	return mergeEnv(map[string]string{
		"DEPLOY_TYPE":                 "docker-container",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "",
		"PGTZ":                        "UTC",
		"SRC_FRONTEND_INTERNAL":       `{{ .PeerOr "frontend" "internal" "127.0.0.1:3090" }}`,
		"SRC_LOG_FORMAT":              "logfmt",
		"SRC_LOG_LEVEL":               "info",
		"SRC_PROF_HTTP":               "{{ .Address.debug }}",
	}, env)
}

// goVariants are the differences between the families that all Go services share.
func goVariants(more ...Variant) []Variant {
	value := func(s string) *string { return &s }
	return append([]Variant{{
		In:        []Releases{{sourcegraph, "5.0", ""}},
		Why:       "logfmt is a legacy format that newer loggers print as condensed, with colour. src: sourcegraph/docs: self-hosted/observability/logs",
		Change:    Override{Env: map[string]*string{"SRC_LOG_FORMAT": value("json")}},
		LogFormat: "json",
	}, {
		In:     []Releases{{sourcegraph, "7.0", ""}},
		Why:    "the single container is gone, docker-compose is the value that its successor sets. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453",
		Change: Override{Env: map[string]*string{"DEPLOY_TYPE": value("docker-compose")}},
	}}, more...)
}

// loopbackBefore5 binds a service to loopback in the versions that offer only this switch for it.
func loopbackBefore5() Variant {
	yes := "true"
	return Variant{
		In:     []Releases{{sourcegraph, "3.38", "5.0"}},
		Why:    "it binds all interfaces otherwise (observed, 3.38). src: sourcegraph: cmd/gitserver/main.go, cmd/searcher/main.go @3.38",
		Change: Override{Env: map[string]*string{"INSECURE_DEV": &yes}},
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

// databaseEnv is all three families. Three databases of one server, since the same DSN for frontend and codeintel is refused.
// src: sourcegraph: internal/database/postgresdsn @3.38
func databaseEnv(env map[string]string) map[string]string {
	postgresEnv(env, "", databaseFrontend)
	postgresEnv(env, "CODEINTEL_", databaseCodeIntel)
	postgresEnv(env, "CODEINSIGHTS_", databaseCodeInsights)
	return env
}

// redisEnv names both servers. src: sourcegraph: internal/redispool @3.38 (host:port or a redis:// URL)
func redisEnv(env map[string]string) map[string]string {
	for name, service := range map[string]string{"REDIS_CACHE_ENDPOINT": "redis-cache", "REDIS_STORE_ENDPOINT": "redis-store"} {
		env[name] = `redis://:{{ .Secret.redis }}@{{ .Peer "` + service + `" "redis" }}`
	}
	return env
}
