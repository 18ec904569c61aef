package services

import (
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Environment is what Sourcegraph's own variables in the appliance's environment say. A variable that tunes a service becomes an override of every
// service of the release that knows it, below what the site's files say. The appliance sets what wires the services itself, and what leads to
// something elsewhere has a key of the configuration: both are left out, and said.
type Environment struct {
	Overrides map[string]Override // by service
	Secrets   map[string]string   // by the name that an override refers to them by
	Warnings  []string            // of what counts for nothing; names of variables only, never a value
}

// FromEnvironment reads variables, each NAME=value, for the built-in services of a version of a product. nearest finds what somebody may have meant,
// or nothing. Where there is no such service, nothing of it is Sourcegraph's.
func FromEnvironment(environ []string, product, version string, defs []Definition, nearest func(name string, known []string) string) Environment {
	r := environmentReader{
		product: product, version: version, defs: defs, nearest: nearest, byKey: map[string][]string{},
		out: Environment{Overrides: map[string]Override{}, Secrets: map[string]string{}},
	}
	if len(defs) == 0 || len(environ) == 0 {
		return r.out
	}
	r.variables = Variables()
	for _, kv := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(kv, "=")
		r.read(name, value)
	}
	for _, key := range slices.Sorted(maps.Keys(r.byKey)) {
		r.warn("%s in the environment of the appliance: not taken; say it with %s in appliance.yaml", strings.Join(r.byKey[key], ", "), key)
	}
	return r.out
}

type environmentReader struct {
	product, version string
	defs             []Definition
	variables        []Variable
	nearest          func(string, []string) string
	byKey            map[string][]string
	out              Environment
}

func (r *environmentReader) warn(format string, args ...any) {
	r.out.Warnings = append(r.out.Warnings, fmt.Sprintf(format, args...))
}

func (r *environmentReader) read(name, value string) {
	if key := keyOfVariable(name); key != "" {
		r.byKey[key] = append(r.byKey[key], name)
		return
	}
	if !isSourcegraphs(name, r.variables) {
		return
	}
	takers, others := r.knownTo(name)
	switch {
	case len(takers) > 0:
		r.take(name, value, takers)
	case len(others) > 0:
		r.warn("%s in the environment of the appliance: not taken, since the appliance sets it itself; to change it for one service say services.%s.env.%s", name, others[0], name)
	default:
		r.unknown(name)
	}
}

// knownTo are the services of this version that take the variable from the environment, and those that know it but do not.
func (r *environmentReader) knownTo(name string) (takers, others []string) {
	for _, d := range r.defs {
		_, set := d.Env[name]
		taken := false
		for _, v := range r.variables {
			if v.Name == name && v.In.Contains(r.product, r.version) && v.IsFor(d.Name) {
				set, taken = true, taken || v.Taken
			}
		}
		switch {
		case taken:
			takers = append(takers, d.Name)
		case set:
			others = append(others, d.Name)
		}
	}
	return takers, others
}

func (r *environmentReader) take(name, value string, services []string) {
	if isSecret(name, value) {
		secret := "environment_" + name
		r.out.Secrets[secret] = value
		value = "{{ .Secret." + secret + " }}"
	}
	for _, service := range services {
		o := r.out.Overrides[service]
		if o.Env == nil {
			o.Env = map[string]*string{}
		}
		o.Env[name] = &value
		r.out.Overrides[service] = o
	}
}

func (r *environmentReader) unknown(name string) {
	var known, elsewhere []string
	for _, v := range r.variables {
		switch {
		case v.Name == name:
			elsewhere = append(elsewhere, v.In.String())
		case v.Taken && v.In.Contains(r.product, r.version):
			known = append(known, v.Name)
		}
	}
	remedy := "to give it to one service all the same, say services.<name>.env." + name
	if near := r.nearest(name, known); near != "" {
		remedy = "did you mean " + near + "?"
	}
	where := ""
	if len(elsewhere) > 0 {
		where = ", only of " + strings.Join(slices.Compact(elsewhere), ", ")
	}
	r.warn("%s in the environment of the appliance: not taken, since no service of %s %s is known to read it%s; %s", name, r.product, r.version, where, remedy)
}

// isSourcegraphs tells Sourcegraph's own variables from those that any program may have. SRC_ENDPOINT and its like are the command line's, src.
// src: sourcegraph/src-cli: README.markdown, AUTH_PROXY.md
func isSourcegraphs(name string, catalog []Variable) bool {
	if name == "SRC_ENDPOINT" || name == "SRC_ACCESS_TOKEN" || name == "SRC_PROXY" || strings.HasPrefix(name, "SRC_HEADER") {
		return false
	}
	for _, prefix := range []string{
		"SRC_", "SOURCEGRAPH_", "PRECISE_CODE_INTEL_", "SYNTACTIC_CODE_INTEL_", "CODEINTEL_", "CODEINSIGHTS_", "SEARCHER_", "GITSERVER_", "EMBEDDINGS_", "WORKER_JOB_",
		"EXECUTOR_", "SITE_CONFIG_", "EXTSVC_CONFIG_", "GLOBAL_SETTINGS_", "ZOEKT_",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.ContainsFunc(catalog, func(v Variable) bool { return v.Name == name && v.Taken }) || slices.Contains(
		[]string{"DEPLOY_TYPE", "CONFIGURATION_MODE", "INSECURE_DEV", "INDEXED_SEARCH_SERVERS", "SYMBOLS_URL", "REPO_UPDATER_URL", "GITHUB_BASE_URL", "PROMETHEUS_URL", "GRAFANA_SERVER_URL", "JAEGER_SERVER_URL"}, name)
}

// keyOfVariable is the key of the configuration that says what a variable would; empty if there is none.
func keyOfVariable(name string) string {
	switch name {
	case "REDIS_CACHE_ENDPOINT":
		return "redis.cache"
	case "REDIS_STORE_ENDPOINT":
		return "redis.store"
	case "REDIS_ENDPOINT":
		return "redis.cache and redis.store"
	case "OFFLINE":
		return "offline"
	case "SITE_CONFIG_FILE":
		return "site_config"
	case "SRC_HTTP_ADDR":
		return "listen"
	case "HTTP_PROXY", "http_proxy":
		return "proxy.http"
	case "HTTPS_PROXY", "https_proxy":
		return "proxy.https"
	case "NO_PROXY", "no_proxy":
		return "proxy.no_proxy"
	}
	for _, db := range (ExternalPostgres{}).named() {
		if part, ok := strings.CutPrefix(name, db.prefix+"PG"); ok && slices.Contains([]string{"HOST", "PORT", "USER", "PASSWORD", "DATABASE", "SSLMODE", "DATASOURCE"}, part) {
			return "postgres." + db.key
		}
	}
	if regexp.MustCompile(`^(PRECISE_CODE_INTEL|SEARCH_JOBS|EMBEDDINGS|SOURCEGRAPH)_UPLOAD_(BACKEND|BUCKET|MANAGE_BUCKET|AWS_\w+|GCP_\w+|GOOGLE_\w+)$`).MatchString(name) {
		return "object_storage"
	}
	return ""
}

// isSecret reports whether a value must not be shown: its name says so, or it is a URL with a password. What has the marks of a template or of a
// reference is handled as one, too: it is then given as it is written.
func isSecret(name, value string) bool {
	if regexp.MustCompile(`(PASSWORD|SECRET|TOKEN|CREDENTIALS|_KEY|_DSN|DATASOURCE|HEADERS)`).MatchString(name) || strings.Contains(value, "{{") || strings.Contains(value, "@secret{") {
		return true
	}
	for _, word := range strings.Fields(value) {
		if u, err := url.Parse(word); err == nil && u.User != nil {
			return true
		}
	}
	return false
}
