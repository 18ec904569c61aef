package services

import (
	"syscall"
	"time"
)

// The superuser and databases of the one PostgreSQL server. Superuser, since Sourcegraph's migrations create extensions.
// src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453 (user sg, database sg)
const (
	postgresUser         = "sg"
	databaseFrontend     = "sg"
	databaseCodeIntel    = "codeintel"
	databaseCodeInsights = "codeinsights"
)

// postgres is one cluster with three databases: one WAL, one consistent point.
func postgres() Definition {
	return Definition{
		Name:     "postgres",
		Kind:     KindService,
		Releases: everywhere(),
		Loss:     "nobody can sign in or search, and nothing is written",
		Command:  []string{"postgres", "-D", postgresData, "--config-file={{ .Run }}/postgresql.conf"},
		Host:     &HostProgram{Names: []string{"postgres"}, Dirs: []string{"/usr/lib/postgresql/*/bin"}, Package: "postgresql"},
		Env:      map[string]string{"PGTZ": "UTC"},
		Ports:    []Port{{Name: "postgres", Number: 5432}},
		Prepare:  []Prepare{postgresPrepare()},
		Files: []File{
			{Path: "{{ .Run }}/postgresql.conf", Mode: 0o600, Content: postgresConf},
			{Path: "{{ .Run }}/pg_hba.conf", Mode: 0o600, Content: postgresHBA},
		},
		Data: []Data{{Name: "postgres", Path: "data/gen-{{ .Generation }}/postgres", Class: DataState}},
		// The port opens before recovery ends, so only the protocol tells (observed, PostgreSQL 15).
		Ready:   &Probe{Postgres: true, Port: "postgres", Every: 10 * time.Second, Timeout: 5 * time.Second, Failures: 3},
		Without: Without{Live: "a kill costs a crash recovery of unknown length; a hang shows as degraded", Metrics: "its exporter is a service of its own"},
		// A re-index or a recovery may take that long. src: sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453 (start_period 1h)
		Start: Start{Timeout: time.Hour},
		// INT is a fast shutdown; TERM waits for every client, for ever. src: PostgreSQL: "Shutting Down the Server"; compose: stop_grace_period 120s
		Stop:     Stop{Signal: syscall.SIGINT, To: ToMain, Grace: 120 * time.Second, Weight: 1},
		Restart:  plainRestart(),
		Log:      serviceLog("postgres"),
		Budget:   Budget{Memory: 4 * gib, CPUWeight: 200, Pids: 512}, // memory: compose @v7.5.4453; the rest is ours: 100 connections are 100 processes
		Demand:   postgresDemand(),
		Replicas: Replicas{Max: 1, Once: "its three databases are one cluster with one data directory"},
		Switch:   StopThenStart,
		Snapshot: SnapshotAlways,
	}
}

// postgresDemand asks for what postgresConf takes: 54 MB of 15 processes (observed, PostgreSQL 15), 128 MB of buffers, and work_mem for a few queries.
// Share: GB of the machine image of size M, all three servers of it together. src: sourcegraph/deploy: install/override.M.yaml
func postgresDemand() Demand {
	const rules = "src: sourcegraph/docs: self-hosted/postgres-conf"
	return Demand{Floor: 256 * mib, Share: 12, Elastic: ElasticCache, OOMRank: 1, Knobs: []Knob{
		{Name: "shared_buffers", Of: OfMemory, Percent: 25, Why: rules},
		{Name: "effective_cache_size", Of: OfMemory, Percent: 75, Why: rules},
		{Name: "maintenance_work_mem", Of: OfMemory, Percent: 6, Why: "a sixteenth, 2 GB at most. " + rules},
		{Name: "work_mem", Of: OfMemory, Why: "memory / (4 × max_connections × max_parallel_workers_per_gather). " + rules},
		{Name: "max_parallel_workers", Of: OfCPUs, Percent: 100, Why: rules},
		{Name: "max_wal_size", Of: OfDisk, Why: "8 GB where the disk allows. src: sourcegraph/deploy-sourcegraph-docker: pgsql/conf/postgresql.conf @v7.5.4453"},
	}}
}

// postgresData is below the directory that the service owns, so that a cluster of the next major can be made beside it.
const postgresData = "{{ .Data.postgres }}/pgdata"

// postgresPrepare makes a cluster with checksums and three databases. The password goes through a pipe: it is on no command line and in no file.
// src: PostgreSQL: initdb, "Single-User Options" (exit_on_error ends the backend at the first fault)
func postgresPrepare() Prepare {
	create := ""
	for _, name := range []string{databaseFrontend, databaseCodeIntel, databaseCodeInsights} {
		create += "CREATE DATABASE " + name + " OWNER " + postgresUser + ";\n"
	}
	return Prepare{Creates: postgresData, Steps: []Step{{
		Command: []string{
			`{{ .Bin "initdb" }}`, "-D", "{{ .New }}", "--username=" + postgresUser, "--pwfile=/dev/stdin",
			"--auth-local=scram-sha-256", "--auth-host=scram-sha-256", "--data-checksums", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions",
		},
		Stdin: "{{ .Secret.postgres }}\n",
	}, {
		Command: []string{`{{ .Bin "postgres" }}`, "--single", "-c", "exit_on_error=on", "-c", "log_checkpoints=off", "-D", "{{ .New }}", "postgres"},
		Stdin:   create,
	}}}
}

// postgresConf takes Sourcegraph's shipped values where they do not depend on the machine, and an eighth of its memory ones, for a machine of 4 GB.
// src: sourcegraph/deploy-sourcegraph-docker: pgsql/conf/postgresql.conf @v7.5.4453 (100 connections, shared_buffers 1GB, effective_cache_size 3GB,
// work_mem 5MB, maintenance_work_mem 250MB, max_wal_size 8GB, min_wal_size 2GB, random_page_cost 1.1, effective_io_concurrency 200)
const postgresConf = `# Written by the appliance at each start; to change a value set services.postgres.args, such as [-c, work_mem=16MB]
data_directory = '` + postgresData + `'
hba_file = '{{ .Run }}/pg_hba.conf'
listen_addresses = '127.0.0.1'
port = {{ .Port.postgres }}
unix_socket_directories = '{{ .SocketDir "/.s.PGSQL.00000.lock" }}'
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 128MB
effective_cache_size = 384MB
work_mem = 5MB
maintenance_work_mem = 64MB
max_worker_processes = 4
max_parallel_maintenance_workers = 4
max_parallel_workers_per_gather = 2
max_parallel_workers = 4
wal_buffers = 4MB
max_wal_size = 1GB
min_wal_size = 256MB
random_page_cost = 1.1
effective_io_concurrency = 200
temp_file_limit = 20GB
bgwriter_delay = 50ms
bgwriter_lru_maxpages = 200
password_encryption = scram-sha-256
log_destination = stderr
logging_collector = off
log_line_prefix = '%m [%p] '
log_timezone = UTC
timezone = UTC
lc_messages = C.UTF-8
`

const postgresHBA = `# Written by the appliance at each start
local all all              scram-sha-256
host  all all 127.0.0.1/32 scram-sha-256
`
