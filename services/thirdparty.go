package services

import (
	"syscall"
	"time"
)

// thirdParties are the programs of others that Sourcegraph ships beside its own.
// src: sourcegraph/deploy-sourcegraph-docker: docker-compose/docker-compose.yaml @v3.38.0, v5.2.7, v7.5.4453
func thirdParties() []Definition {
	return []Definition{
		minio(), blobstore(), prometheus(), alertmanager(), grafana(), jaeger(), otelCollector(), nodeExporter(), cadvisor(),
		postgresExporter("pgsql-exporter", "pgsql", databaseFrontend, 9187),
		postgresExporter("codeintel-db-exporter", "codeintel-db", databaseCodeIntel, 9188),
		postgresExporter("codeinsights-db-exporter", "codeinsights-db", databaseCodeInsights, 9189),
		redisExporter("redis-store", 9121), redisExporter("redis-cache", 9122),
		qdrant(), executor(), dockerMirror(),
	}
}

// from is every version of Sourcegraph since one.
func from(version string) []Releases { return []Releases{{sourcegraph, version, ""}} }

// between is the versions of Sourcegraph [first, until).
func between(first, until string) []Releases { return []Releases{{sourcegraph, first, until}} }

// plainStop asks with TERM, as every program here understands it.
func plainStop(grace time.Duration) Stop {
	return Stop{Signal: syscall.SIGTERM, To: ToMain, Grace: grace}
}

// thirdParty is what all of them share: one of each, restarted, watched over HTTP. What is watched with other patience says so.
func thirdParty(d Definition) Definition {
	d.Kind = KindService
	d.Restart = plainRestart()
	d.Replicas = Replicas{Max: 1}
	if d.Stop == (Stop{}) {
		d.Stop = plainStop(10 * time.Second) // src: services by name in compose @v7.5.4453 (stop_grace_period, 10 s when unsaid)
	}
	if d.Start == (Start{}) {
		d.Start = Start{Timeout: 2 * time.Minute} // ours
	}
	if d.Demand.Floor == 0 { // ours: a sixteenth of the ceiling that compose gives; users miss none of them first
		d.Demand = Demand{Floor: d.Budget.Memory / 16, Share: 1, Elastic: ElasticLoad, OOMRank: 5, Knobs: d.Demand.Knobs}
	}
	if d.Switch == "" {
		d.Switch = StopThenStart
	}
	if d.Snapshot == "" {
		d.Snapshot = SnapshotNever
	}
	return d
}

// liveHTTP restarts what has not answered for a minute: none of these loses a request by waiting. The numbers are ours.
func liveHTTP(path, port string) *Probe {
	return &Probe{HTTP: path, Port: port, Every: 15 * time.Second, Timeout: 10 * time.Second, Failures: 4}
}
