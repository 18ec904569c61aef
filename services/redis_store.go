package services

// redisStore holds sessions, rate limits and queues, and forgets nothing.
func redisStore() Definition {
	return redis("redis-store", 6379, "nobody can sign in; when its data is lost everybody is signed out", redisStoreConf,
		Data{Name: "redis", Path: "data/gen-{{ .Generation }}/redis-store", Class: DataState}, SnapshotAlways, 48*mib, ElasticLoad, 1)
}

// Sourcegraph's own limit is 6 GB; 1 GB suits a machine of 4 GB. src: sourcegraph: docker-images/redis-store @3.38 (noeviction, AOF with RDB preamble, save 300 1)
const redisStoreConf = `dir "{{ .Data.redis }}"
maxmemory 1gb
maxmemory-policy noeviction
save 300 1
appendonly yes
appendfsync everysec
aof-use-rdb-preamble yes
aof-load-truncated yes
`
