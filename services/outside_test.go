package services

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func outsidePlan(t *testing.T, version string, x Outside) map[string]Instance {
	t.Helper()
	s := everythingOn(version)
	s.Outside = x
	in := input(t, s)
	in.Secrets = []string{"proxy"}
	plan, err := Build(in)
	require.NoError(t, err)
	out := map[string]Instance{}
	for _, inst := range plan.Instances {
		out[inst.Service] = inst
	}
	return out
}

func value(inst Instance, name string) string {
	for _, kv := range inst.Env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return "(unset)"
}

// TestProxyReachesWhoCallsOut, and nobody else, in every family; the password stays a reference until the start, and is escaped then.
func TestProxyReachesWhoCallsOut(t *testing.T) {
	proxy := Proxy{HTTP: "http://proxy:3128", HTTPS: "https://proxy:3129", User: "s@g", PasswordSecret: "proxy", NoProxy: []string{".corp", "10.0.0.0/8"}}
	for _, version := range rosterVersions {
		for name, inst := range outsidePlan(t, version, Outside{Proxy: proxy}) {
			d := effectiveOf(t, version, name)
			if len(d.Outbound) == 0 {
				require.Equal(t, "(unset)", value(inst, "HTTPS_PROXY"), name)
				require.Equal(t, direct, value(inst, "NO_PROXY"), name)
				continue
			}
			for _, spelling := range []func(string) string{strings.ToUpper, strings.ToLower} {
				require.Equal(t, "http://s%40g:@secret{proxy:url}@proxy:3128", value(inst, spelling("http_proxy")), name)
				require.Equal(t, "https://s%40g:@secret{proxy:url}@proxy:3129", value(inst, spelling("https_proxy")), name)
				require.Equal(t, "127.0.0.1,localhost,::1,.corp,10.0.0.0/8", value(inst, spelling("no_proxy")), name)
			}
			full, err := Expand(inst, map[string]string{"proxy": "p/w", "redis": "r", "postgres": "p", "executor": "e", "grafana": "g", "minio": "m"})
			require.NoError(t, err)
			require.Equal(t, "http://s%40g:p%2Fw@proxy:3128", value(full, "HTTP_PROXY"))
			require.NotContains(t, strings.Join(full.Argv, " "), "p/w")
		}
	}
	for _, name := range []string{"frontend", "gitserver", "repo-updater", "worker", "executor", "migrator"} {
		require.NotEqual(t, "(unset)", value(outsidePlan(t, "6.3.4167", Outside{Proxy: proxy})[name], "HTTPS_PROXY"), name)
	}
}

func effectiveOf(t *testing.T, version, name string) Definition {
	t.Helper()
	list := Of(sourcegraph, version)
	i := slices.IndexFunc(list, func(d Definition) bool { return d.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return list[i]
}

func TestCertificatesOfTheSite(t *testing.T) {
	sources := []Source{{Path: "/etc/ssl/certs/ca-certificates.crt"}, {Path: "/etc/sourcegraph/ca.pem", Stamp: "1"}}
	with := outsidePlan(t, "7.5.4453", Outside{CA: sources})
	for _, name := range []string{"frontend", "gitserver", "worker"} {
		inst := with[name]
		path := inst.RunDir + "/ca.pem"
		require.Equal(t, path, value(inst, "SSL_CERT_FILE"), name)
		require.Equal(t, path, value(inst, "GIT_SSL_CAINFO"), name)
		require.Contains(t, inst.Files, File{Path: path, Mode: 0o600, From: sources})
	}
	require.Equal(t, "(unset)", value(with["zoekt-webserver"], "SSL_CERT_FILE"))
	later := outsidePlan(t, "7.5.4453", Outside{CA: []Source{sources[0], {Path: sources[1].Path, Stamp: "2"}}})
	require.NotEqual(t, with["frontend"].Hash, later["frontend"].Hash, "another content restarts it")
	require.Equal(t, with["zoekt-webserver"].Hash, later["zoekt-webserver"].Hash)
}

func TestGitFilesLieInGitserversHome(t *testing.T) {
	git := GitFiles{Source{"/k", "1"}, Source{"/h", "1"}, Source{"/n", "1"}, Source{"/c", "1"}}
	plan := outsidePlan(t, "6.4.0", Outside{Git: git})
	home := plan["gitserver"].Dir
	require.Subset(t, plan["gitserver"].Files, []File{
		{Path: home + "/.ssh/id_rsa", Mode: 0o600, From: []Source{git.SSHKey}}, {Path: home + "/.ssh/known_hosts", Mode: 0o600, From: []Source{git.KnownHosts}},
		{Path: home + "/.netrc", Mode: 0o600, From: []Source{git.Netrc}}, {Path: home + "/.gitconfig", Mode: 0o600, From: []Source{git.Config}},
	})
	require.Empty(t, outsidePlan(t, "6.4.0", Outside{})["gitserver"].Files)
}

// TestOfflineThrowsTheSwitchesOfTheFamily: each that its definitions name, and none before the version that has it.
func TestOfflineThrowsTheSwitchesOfTheFamily(t *testing.T) {
	const export = "TELEMETRY_GATEWAY_EXPORTER_EXPORT_ADDR"
	for version, want := range map[string]string{"3.38.0": "(unset)", "5.2.7": "", "7.5.4453": ""} {
		off := outsidePlan(t, version, Outside{Offline: true})
		require.Equal(t, want, value(off["worker"], export), version)
		require.Equal(t, "true", value(off["frontend"], "OFFLINE"), version)
		require.Equal(t, "false", value(off["grafana"], "GF_NEWS_NEWS_FEED_ENABLED"), version)
		on := outsidePlan(t, version, Outside{})
		require.Equal(t, "(unset)", value(on["worker"], export))
		require.Equal(t, "(unset)", value(on["frontend"], "OFFLINE"))
	}
}

// TestOwnVariableWinsOverTheProxy: what the site says of one service is the last word.
func TestOwnVariableWinsOverTheProxy(t *testing.T) {
	s := Selection{Product: demo, Version: "1.0.0", Outside: Outside{Proxy: Proxy{HTTPS: "http://proxy:3128"}},
		Overrides: map[string]Override{"gitserver": {Env: map[string]*string{"HTTPS_PROXY": nil, "https_proxy": pointer("http://other:1")}}}}
	plan, err := Build(input(t, s))
	require.NoError(t, err)
	i := slices.IndexFunc(plan.Instances, func(i Instance) bool { return i.Service == "gitserver" })
	require.Equal(t, "(unset)", value(plan.Instances[i], "HTTPS_PROXY"))
	require.Equal(t, "http://other:1", value(plan.Instances[i], "https_proxy"))
}

// TestDestinationsSayHowToEndThem, and name who the catalog names: src: sourcegraph/docs: self-hosted/private-network.
func TestDestinationsSayHowToEndThem(t *testing.T) {
	for _, d := range All() {
		for _, to := range d.Outbound {
			require.NotEmpty(t, to.To, d.Name)
			require.NotEmpty(t, to.What, d.Name)
			require.NotEmpty(t, to.Off, d.Name)
		}
		if slices.Contains([]string{"frontend", "gitserver", "worker", "executor", "migrator", "repo-updater", "github-proxy"}, d.Name) {
			require.NotEmpty(t, d.Outbound, d.Name)
		}
		if slices.Contains([]string{"postgres", "redis-cache", "redis-store", "searcher", "symbols", "zoekt-webserver", "blobstore"}, d.Name) {
			require.Empty(t, d.Outbound, d.Name)
		}
	}
}
