package frontend

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
)

// environment is what the frontend reads from its environment.
type environment struct {
	dsn          string
	redisCache   *redis.Options
	redisStore   *redis.Options
	gitServers   []string
	searcherURLs []string
	siteConfig   string // files; empty for none
}

func readEnvironment(getenv func(string) string) (environment, error) {
	var e environment
	if mode := getenv("CONFIGURATION_MODE"); mode != "server" {
		return e, fmt.Errorf("environment CONFIGURATION_MODE=%q: the frontend owns the configuration, so set CONFIGURATION_MODE=server", mode)
	}
	var cacheErr, storeErr error
	e.dsn = database.DSN(getenv)
	e.redisCache, cacheErr = redisOptions(getenv, "REDIS_CACHE_ENDPOINT", "redis-cache:6379")
	e.redisStore, storeErr = redisOptions(getenv, "REDIS_STORE_ENDPOINT", "redis-store:6379")
	e.gitServers = strings.Fields(cmp.Or(getenv("SRC_GIT_SERVERS"), "gitserver:3178"))
	e.searcherURLs = strings.Fields(cmp.Or(getenv("SEARCHER_URL"), "http://searcher:3181"))
	e.siteConfig = getenv("SITE_CONFIG_FILE")
	return e, errors.Join(cacheErr, storeErr)
}

// redisOptions reads host:port or a redis:// URL from the named variable, or from REDIS_ENDPOINT. Errors leave out the value: it may hold a password.
func redisOptions(getenv func(string) string, name, fallback string) (*redis.Options, error) {
	endpoint := cmp.Or(getenv(name), getenv("REDIS_ENDPOINT"), fallback)
	if !strings.Contains(endpoint, "://") {
		return &redis.Options{Addr: endpoint}, nil
	}
	options, err := redis.ParseURL(endpoint)
	if err != nil {
		return nil, fmt.Errorf("environment %s: no address of a Redis; want host:port or redis://:password@host:port", name)
	}
	return options, nil
}
