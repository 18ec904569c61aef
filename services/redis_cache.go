package services

// redisCache forgets what it has not been asked for when it is full.
// Port 6380 beside the store's 6379 as in the single container. src: sourcegraph: cmd/server/shared/redis.go @3.38
func redisCache() Definition {
	return redis("redis-cache", 6380, "pages and searches are slower until it is warm again", redisCacheConf,
		Data{Name: "redis", Path: "shared/cache/redis-cache/{{ .Number }}", Class: DataCache}, SnapshotNever, 48*mib, ElasticCache, 4)
}

// Sourcegraph's own limit is 6 GB; 256 MB suits a machine of 4 GB. src: sourcegraph: docker-images/redis-cache @3.38 (allkeys-lru, save 60 1, no AOF)
const redisCacheConf = `dir "{{ .Data.redis }}"
maxmemory 256mb
maxmemory-policy allkeys-lru
save 60 1
appendonly no
`
