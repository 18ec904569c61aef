package roster

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

func TestVariablesOfTheEnvironmentAreOverrides(t *testing.T) {
	s := newSite(t, map[string]string{"appliance.yaml": "services:\n  searcher: {env: {SRC_LOG_LEVEL: warn}}\n  gitserver: {env: {SRC_LOG_LEVEL: ~}}\n"})
	s.release("1.0.0", nil)
	s.opts.Environ = []string{"SRC_LOG_LEVEL=debug", "DEMO_REPOS=https://sg:hush@example.com/a.git", "SRC_LOG_LEVLE=x", "SRC_GIT_SERVERS=a:1", "PGHOST=db", "PGUSER=sg", "PATH=/bin"}
	r := s.load()
	require.Contains(t, instanceOf(t, r, "frontend").Env, "SRC_LOG_LEVEL=debug")
	require.Contains(t, instanceOf(t, r, "searcher").Env, "SRC_LOG_LEVEL=warn", "the file wins")
	require.NotContains(t, strings.Join(instanceOf(t, r, "gitserver").Env, " "), "SRC_LOG_LEVEL", "the file takes it away")

	for key, want := range map[string]Explanation{
		"frontend.env.SRC_LOG_LEVEL": {Value: "debug", Origin: "environment"},
		"searcher.env.SRC_LOG_LEVEL": {Value: "warn", Origin: s.opts.ConfigFile + ":2"},
		"worker.env.DEMO_REPOS":      {Value: `'{{ .Secret.environment_DEMO_REPOS }}'`, Origin: "environment"},
		"frontend.env.PGHOST":        {Value: "127.0.0.1", Origin: "built in"},
	} {
		got, err := r.Explain(key)
		require.NoError(t, err)
		require.Equal(t, want, Explanation{Value: got.Value, Origin: got.Origin}, key)
	}
	shown, err := r.YAML()
	require.NoError(t, err)
	require.Contains(t, string(shown), "SRC_LOG_LEVEL: debug # from the environment")
	require.NotContains(t, string(shown), "SRC_LOG_LEVEL: warn #")
	document, err := json.Marshal(r.Config())
	require.NoError(t, err)
	kept, err := json.Marshal(r)
	require.NoError(t, err)
	options, err := json.Marshal(s.opts)
	require.NoError(t, err)
	for _, text := range []string{string(shown), string(document), string(kept), string(options), strings.Join(r.Warnings, "\n")} {
		require.NotContains(t, text, "hush")
	}
	require.Equal(t, map[string][]string{"SRC_LOG_LEVEL": {"frontend", "gitserver", "migrator", "searcher", "worker"}, "DEMO_REPOS": {"worker"}}, r.Config().Environment)

	worker, err := services.Expand(instanceOf(t, r, "worker"), r.Secrets)
	require.NoError(t, err)
	require.Contains(t, worker.Env, "DEMO_REPOS=https://sg:hush@example.com/a.git")
	var later Roster // the next life of the supervisor, with the same environment
	require.NoError(t, json.Unmarshal(kept, &later))
	require.NoError(t, later.ReadSecrets(s.opts))
	require.Equal(t, r.Secrets, later.Secrets)

	require.Len(t, r.Warnings, 3)
	require.Contains(t, r.Warnings[0], "the appliance sets it itself; to change it for one service say services.frontend.env.SRC_GIT_SERVERS")
	require.Contains(t, r.Warnings[1], "did you mean SRC_LOG_LEVEL?")
	require.Contains(t, r.Warnings[2], "PGHOST, PGUSER in the environment of the appliance: not taken; say it with postgres.frontend")
}

// TestKeysThatStandForVariablesExist holds the keys that a warning names.
func TestKeysThatStandForVariablesExist(t *testing.T) {
	for _, variable := range []string{
		"PGHOST", "CODEINTEL_PGHOST", "CODEINSIGHTS_PGHOST", "REDIS_ENDPOINT", "REDIS_CACHE_ENDPOINT", "REDIS_STORE_ENDPOINT", "OFFLINE", "SITE_CONFIG_FILE", "SRC_HTTP_ADDR", "HTTP_PROXY",
		"HTTPS_PROXY", "NO_PROXY", "SEARCH_JOBS_UPLOAD_BUCKET",
	} {
		warnings := surroundings([]string{variable + "=x"}, "demo", "1.0.0").Warnings
		require.Len(t, warnings, 1, variable)
		_, key, _ := strings.Cut(strings.TrimSuffix(warnings[0], " in appliance.yaml"), "say it with ")
		for path := range strings.SplitSeq(key, " and ") {
			found, _ := keys.Find(Site{}, path)
			require.Equal(t, path, found.Path, variable)
		}
	}
}
