package services

import (
	"syscall"
	"time"
)

// redis is what the two personalities share. TERM saves, then ends: at most 0.09 s when idle (observed), with 6 GB in memory a minute.
// src: sourcegraph: docker-images/redis-cache, docker-images/redis-store @3.38
func redis(name string, port int, loss, conf string, data Data, snapshot SnapshotClass, floor int64, elastic Elastic, rank int) Definition {
	return Definition{
		Name:     name,
		Kind:     KindService,
		Releases: everywhere(),
		Loss:     loss,
		Command:  []string{"redis-server", "{{ .Run }}/redis.conf"},
		Host:     &HostProgram{Names: []string{"redis-server"}, Package: "redis-server"},
		Ports:    []Port{{Name: "redis", Number: port}},
		Files:    []File{{Path: "{{ .Run }}/redis.conf", Mode: 0o600, Content: redisConf + conf}},
		Data:     []Data{data},
		Ready:    &Probe{Redis: true, Port: "redis", Every: 10 * time.Second, Timeout: 5 * time.Second, Failures: 3},
		// One slow command blocks the whole server, hence twice the patience of a Go service.
		Live:    &Probe{Redis: true, Port: "redis", Every: 10 * time.Second, Timeout: 5 * time.Second, Failures: 6},
		Without: Without{Metrics: "its exporter is a service of its own"},
		Start:   Start{Timeout: 10 * time.Minute}, // loading 6 GB from disk; the number is ours
		Stop:    Stop{Signal: syscall.SIGTERM, To: ToMain, Grace: time.Minute},
		Restart: plainRestart(),
		Log:     serviceLog("redis"),
		Budget:  Budget{Memory: 7 * gib, CPUWeight: 100, Pids: 64}, // memory: compose @v7.5.4453
		// Floor: 12 MB idle (observed, Redis 7) and its data. Share: GB of the machine image of size M.
		Demand: Demand{Floor: floor, Share: 4, Elastic: elastic, OOMRank: rank, Knobs: []Knob{
			{Name: "maxmemory", Of: OfMemory, Percent: 85, Why: "6 of 7 GB. src: sourcegraph: docker-images/redis-cache @3.38"},
		}},
		Replicas: Replicas{Max: 1, Once: "its data is in one process"},
		Switch:   StopThenStart,
		Snapshot: snapshot,
	}
}

// redisConf is for Redis 5 (the images of 3.38) to 7.4. The server inherits no include of the distribution.
// src: sourcegraph: cmd/server/shared/assets/redis-*.conf.tmpl @3.38; Redis: redis.conf
const redisConf = `# Written by the appliance at each start
bind 127.0.0.1
protected-mode yes
port {{ .Port.redis }}
requirepass {{ .Secret.redis }}
daemonize no
supervised no
logfile ""
loglevel notice
tcp-keepalive 300
databases 16
`
