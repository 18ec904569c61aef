package services

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// around reads an environment for a version of Sourcegraph; what is near is the known name that only lacks a letter.
func around(version string, environ ...string) Environment {
	return FromEnvironment(environ, sourcegraph, version, Of(sourcegraph, version), func(name string, known []string) string {
		for _, k := range known {
			if len(k) == len(name)+1 && strings.HasPrefix(k, name) {
				return k
			}
		}
		return ""
	})
}

func TestVariablesOfTheEnvironment(t *testing.T) {
	for name, tc := range map[string]struct {
		version, variable string
		takes             []string // services
		not               []string
		said              string // part of the warning; empty for none
	}{
		"a level of logging":            {"3.38.0", "SRC_LOG_LEVEL=dbug", []string{"frontend", "gitserver", "searcher", "worker", "migrator"}, []string{"postgres", "zoekt-webserver", "prometheus", "executor"}, ""},
		"zoekt has it later":            {"5.2.7", "SRC_LOG_LEVEL=dbug", []string{"zoekt-webserver", "gitserver"}, []string{"redis-cache"}, ""},
		"one service":                   {"5.2.7", "SRC_REPOS_DESIRED_PERCENT_FREE=20", []string{"gitserver"}, []string{"frontend"}, ""},
		"follows the code":              {"6.4.0", "USE_ROCKSKIP=true", []string{"searcher"}, []string{"symbols"}, ""},
		"an address that we compute":    {"7.5.4453", "SRC_GIT_SERVERS=gitserver-0:3178", nil, []string{"frontend"}, "services.frontend.env.SRC_GIT_SERVERS"},
		"the internal API":              {"7.5.4453", "SRC_FRONTEND_INTERNAL=a:3090", nil, []string{"gitserver"}, "the appliance sets it itself"},
		"what loosens security":         {"3.38.0", "INSECURE_DEV=true", nil, []string{"frontend"}, "the appliance sets it itself"},
		"a database elsewhere":          {"5.2.7", "PGHOST=db.example.com", nil, []string{"frontend"}, "say it with postgres.frontend"},
		"another":                       {"5.2.7", "CODEINTEL_PGDATASOURCE=postgres://u:p@db/x", nil, []string{"frontend"}, "say it with postgres.codeintel"},
		"a Redis elsewhere":             {"5.2.7", "REDIS_ENDPOINT=redis:6379", nil, []string{"frontend"}, "redis.cache and redis.store"},
		"a bucket":                      {"7.5.4453", "SOURCEGRAPH_UPLOAD_AWS_SECRET_ACCESS_KEY=hush", nil, []string{"frontend"}, "say it with object_storage"},
		"a proxy":                       {"7.5.4453", "https_proxy=http://u:p@proxy:3128", nil, []string{"frontend"}, "say it with proxy.https"},
		"a site configuration":          {"5.2.7", "SITE_CONFIG_FILE=/etc/site.json", nil, []string{"frontend"}, "say it with site_config"},
		"a typing error":                {"7.5.4453", "SRC_LOG_LEVE=dbug", nil, []string{"frontend"}, "did you mean SRC_LOG_LEVEL?"},
		"of no version":                 {"7.5.4453", "SRC_WHATEVER=1", nil, []string{"frontend"}, "services.<name>.env.SRC_WHATEVER"},
		"of another version":            {"7.5.4453", "EMBEDDINGS_CACHE_SIZE=1", nil, []string{"frontend"}, "only of sourcegraph [5.0.3, 5.7)"},
		"the command line's":            {"7.5.4453", "SRC_ACCESS_TOKEN=hush", nil, []string{"frontend"}, ""},
		"anybody's":                     {"7.5.4453", "HOSTNAME=box", nil, []string{"gitserver"}, ""},
		"anybody's that we set as well": {"7.5.4453", "CACHE_DIR=/x", nil, []string{"searcher"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			env := around(tc.version, tc.variable)
			variable, value, _ := strings.Cut(tc.variable, "=")
			for _, service := range tc.takes {
				require.Equal(t, &value, env.Overrides[service].Env[variable], service)
			}
			for _, service := range tc.not {
				require.NotContains(t, env.Overrides, service)
			}
			if len(tc.takes) == 0 {
				require.Empty(t, env.Overrides)
			}
			require.Equal(t, tc.said != "", len(env.Warnings) == 1, env.Warnings)
			if tc.said != "" {
				require.Contains(t, env.Warnings[0], tc.said)
				require.Contains(t, env.Warnings[0], variable+" in the environment")
				require.NotContains(t, env.Warnings[0], value)
			}
		})
	}
}

// TestSecretsOfTheEnvironmentAreReferences: also what would be read as a template or as a reference to another secret.
func TestSecretsOfTheEnvironmentAreReferences(t *testing.T) {
	for variable, value := range map[string]string{
		"SRC_SESSION_COOKIE_KEY": "0123456789abcdef", "GLOBAL_SETTINGS_FILE": "{{ .Secret.postgres }}", "EXTSVC_CONFIG_FILE": "@secret{grafana}",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "https://sg:hush@otel.example.com:4317",
	} {
		env := around("5.2.7", variable+"="+value)
		require.Equal(t, map[string]string{"environment_" + variable: value}, env.Secrets)
		in := input(t, Selection{Product: sourcegraph, Version: "5.2.7", Surround: env.Overrides})
		in.Secrets = slices.Collect(maps.Keys(env.Secrets))
		plan, err := Build(in)
		require.NoError(t, err)
		found := false
		for _, inst := range plan.Instances {
			found = found || slices.Contains(inst.Env, variable+"=@secret{environment_"+variable+"}")
			require.NotContains(t, strings.Join(inst.Env, " "), value)
		}
		require.True(t, found, variable)
	}
}

// TestWhatIsWiredIsNotTaken: nobody's environment moves an address, a directory or a secret of ours, in any version.
func TestWhatIsWiredIsNotTaken(t *testing.T) {
	for _, version := range rosterVersions {
		list, err := everythingOn(version).Effective()
		require.NoError(t, err)
		for _, e := range list {
			for name, value := range e.Env {
				if strings.Contains(value, "{{") {
					require.NotContains(t, around(version, name+"=elsewhere").Overrides, e.Name, name)
				}
			}
		}
	}
}
