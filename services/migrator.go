package services

import (
	"syscall"
	"time"
)

// migrator brings the schemas to its own version and ends; nothing that reads a database starts before it.
// src: sourcegraph: cmd/migrator @3.38 (since 3.37); sourcegraph/deploy-sourcegraph-docker: docker-compose.yaml @v7.5.4453 (command up)
func migrator() Definition {
	env := goEnv(databaseEnv())
	delete(env, "SRC_PROF_HTTP") // it serves nothing
	delete(env, "SRC_FRONTEND_INTERNAL")
	return Definition{
		Name:     "migrator",
		Kind:     KindOneshot,
		Releases: everywhere(),
		Loss:     "nothing else starts: the database may be older than the programs",
		Command:  []string{"migrator", "up"},
		Env:      env,
		Needs:    []string{"postgres"},
		Without:  Without{Ready: "it is done when it exited 0", Live: "a migration may be silent for hours", Metrics: "it serves nothing"},
		Start:    Start{}, // no limit: a big migration takes hours
		// No TERM: it has no handler, and killed midway it left the database dirty in 5 of 5 tries (observed, 3.38).
		Stop:     Stop{Signal: syscall.SIGKILL, To: ToGroup, Grace: time.Hour, Wait: true},
		Restart:  Restart{Max: 30 * time.Second, ResetAfter: time.Second, Final: dirtyDatabase()},
		Log:      serviceLog("logfmt"),                                                                  // on stdout (observed, 3.38)
		Budget:   Budget{Memory: 500 * mib, CPUWeight: 100, Pids: 128},                                  // memory: compose @v7.5.4453
		Demand:   Demand{Floor: 96 * mib, Share: 1, Elastic: ElasticLoad, OOMRank: 1, Knobs: goKnobs()}, // floor: helm: values.yaml asks for 50 MB
		Replicas: Replicas{Max: 1, Once: "it migrates a database once"},
		Switch:   StopThenStart,
		Snapshot: SnapshotNever,
		// src: sourcegraph/docs: self-hosted/updates (--ignore-migrator-update)
		Outbound: []Destination{{To: "sourcegraph.com", What: "`migrator upgrade` asks for a newer migrator; `migrator up`, which runs here, does not", Off: "--ignore-migrator-update"}},
		Variants: goVariants(),
	}
}

// dirtyDatabase is a migration that began and did not end: each rerun exits 1 in 0.1 s (observed, 3.38), and only a person can say what is
// to become of the data. Any other failure (PostgreSQL away, a refused password) leaves the schemas as they were, and is tried again.
// src: sourcegraph: internal/database/migration/runner @3.38 ("dirty database: schema … marked the following migrations as failed"); the demo's
// migrator begins its error alike.
func dirtyDatabase() Final {
	return Final{
		Signal: true, // killed midway it left the database dirty in 5 of 5 tries (observed, 3.38)
		Log:    `dirty database`,
		Remedy: "a migration that fails or is cut off leaves its database dirty: restore the backup or snapshot that was taken before it, or repair the database as `sourcegraph logs migrator` says",
	}
}
