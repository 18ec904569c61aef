package services

// postgresExporter shows one of the three databases. One for each, although they share a server: an exporter asks its own questions in one database only,
// and dashboards tell the databases by the exporter's job.
// src: prometheus-community/postgres_exporter: cmd/postgres_exporter/server.go 0.9 (one server per host and port); sourcegraph: docker-images/postgres_exporter @3.38 (0.9.0);
// sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v3.38.0, v7.5.4453 (0.1 CPU, 50m; codeinsights-db's since 4.0), prometheus/prometheus_targets.yml (jobs)
func postgresExporter(name, job, database string, port int) Definition {
	first := "3.38"
	if database == databaseCodeInsights {
		first = "4.0"
	}
	return thirdParty(Definition{
		Name:     name,
		Releases: from(first),
		Spare:    true,
		Loss:     "dashboards and alerts lack the figures of " + job,
		Command:  []string{"postgres_exporter", "--web.listen-address={{ .Address.http }}", "--extend.query-path={{ .Run }}/queries.yaml"},
		Host:     &HostProgram{Names: []string{"postgres_exporter", "prometheus-postgres-exporter"}, Package: "prometheus-postgres-exporter"},
		Env:      postgresExporterEnv(database),
		Ports:    []Port{{Name: "http", Number: port}},
		Wants:    []string{"postgres"},
		Files:    []File{{Path: "{{ .Run }}/queries.yaml", Mode: 0o600, Content: postgresQueries(database)}},
		Ready:    readyHTTP("/", "http"),
		Live:     liveHTTP("/", "http"),
		Log:      serviceLog("logfmt"),
		Budget:   Budget{Memory: 64 << 20, CPUWeight: 25, Pids: 64}, // compose @v7.5.4453 allows 50m
		Metrics:  &Metrics{Port: "http", Path: "/metrics", Job: job},
		Switch:   SideBySide,
	})
}

func postgresExporterEnv(database string) map[string]string {
	return map[string]string{
		"DATA_SOURCE_URI":  `127.0.0.1:{{ .PeerPort "postgres" "postgres" }}/` + database + `?sslmode=disable`,
		"DATA_SOURCE_USER": postgresUser,
		"DATA_SOURCE_PASS": "{{ .Secret.postgres }}",
	}
}

// postgresQueries tells whether the last try of some migration failed: the one figure of the shipped queries that an alert depends on.
// src: sourcegraph: docker-images/postgres_exporter/config/{04_frontend_migration,05_codeintel_migration}.yaml @3.38 (metric and its meaning)
func postgresQueries(database string) string {
	schema := map[string]string{
		databaseFrontend: "schema_migrations", databaseCodeIntel: "codeintel_schema_migrations", databaseCodeInsights: "codeinsights_schema_migrations",
	}[database]
	return `# Written by the appliance at each start
pg_sg_migration:
  query: >-
    SELECT (count(*) FILTER (WHERE NOT last.success) > 0)::int AS status
    FROM (SELECT DISTINCT ON (version) success FROM migration_logs WHERE schema = '` + schema + `' ORDER BY version, started_at DESC) AS last
  master: true
  metrics:
    - status:
        usage: GAUGE
        description: 1 when the last try of a migration failed
`
}
