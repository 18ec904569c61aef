package roster

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// provedBy names the test that shows what a key of the appliance as a whole does: its effect is outside the plan.
func provedBy() map[string]string {
	return map[string]string{
		"url": "TestURLOfTheWholeAppliance",

		"services.<name>.retired": "TestReplicasBelowWhatHoldsStateAreRefused",

		"listen":                        "TestListenersFollowAReload",
		"tls.cert":                      "TestURLOfTheWholeAppliance",
		"tls.key":                       "TestURLOfTheWholeAppliance",
		"acme.accept_terms":             "TestURLWithACME",
		"acme.directory":                "TestURLWithACME",
		"acme.email":                    "TestFrontDoorKeysAreRead",
		"acme.ca":                       "TestURLWithACME",
		"acme.eab.key_id":               "TestFrontDoorKeysAreRead",
		"acme.eab.key_file":             "TestFrontDoorKeysAreRead",
		"trusted_proxies":               "TestSiteFileRulesTheFrontDoor",
		"allow_exposed_ports":           "TestExposedPortsAreRefusedOnAHost",
		"allow_old_postgres":            "TestPostgresOfTheHostThatIsTooOldIsRefused",
		"storage.database":              "TestStorageOfEachClass",
		"storage.repos":                 "TestStorageOfEachClass",
		"storage.repos_shards.<number>": "TestStorageOfEachClass",
		"storage.index":                 "TestStorageOfEachClass",
		"storage.index_shards.<number>": "TestStorageOfEachClass",
		"storage.cache":                 "TestStorageOfEachClass",
		"storage.logs":                  "TestStorageOfLogs",
		"proxy.http":                    "TestProxyReachesWhoCallsOut",
		"proxy.https":                   "TestProxyReachesWhoCallsOut",
		"proxy.user":                    "TestProxyReachesWhoCallsOut",
		"proxy.password_secret":         "TestProxyReachesWhoCallsOut",
		"proxy.no_proxy":                "TestProxyReachesWhoCallsOut",
		"ca_certificates":               "TestCertificatesOfTheSite",
		"offline":                       "TestOfflineThrowsTheSwitchesOfTheFamily",
		"git.ssh_key":                   "TestGitFilesLieInGitserversHome",
		"git.known_hosts":               "TestGitFilesLieInGitserversHome",
		"git.netrc":                     "TestGitFilesLieInGitserversHome",
		"git.config":                    "TestGitFilesLieInGitserversHome",
		"log.stdout":                    "TestSiteFileRulesTheFrontDoor",
		"metrics.listen":                "TestScrapesShowWhatHappens",
		"stop_timeout":                  "TestStopTimeoutOfTheFileCounts",
		"auto_apply":                    "TestChangeOnDiskIsSeenHeldAndApplied",
		"site_config":                   "TestSiteConfigurationOfTheSite",
		"email.host":                    "TestSiteConfigurationOfTheSite",
		"email.port":                    "TestSiteConfigurationOfTheSite",
		"email.from":                    "TestSiteConfigurationOfTheSite",
		"email.user":                    "TestSiteConfigurationOfTheSite",
		"email.password_secret":         "TestSiteConfigurationOfTheSite",
		"email.authentication":          "TestMailWithoutAUser",
		"email.domain":                  "TestMailWithoutAUser",
		"license_file":                  "TestSiteConfigurationOfTheSite",
	}
}

// around is what a key needs beside it to be valid, and examples that mean something in the test's site.
func around(key string) (beside, example string) {
	probe, part, _ := strings.Cut(key, ".")
	if probe == "ready" || probe == "live" {
		switch part {
		case "http", "tcp", "postgres", "redis":
			return "port: http", ""
		case "port", "every", "timeout", "failures":
			return "http: /healthz, port: debug", ""
		}
		return "", ""
	}
	switch key {
	case "metrics.path":
		return "port: http", "/other"
	case "needs", "wants":
		return "", "[other]"
	case "metrics.job":
		return "port: http", ""
	}
	return "", ""
}

// TestEveryKeyChangesSomething: no key is read and then ignored. A key of a service must change the plan, or have a test of its own as any other.
func TestEveryKeyChangesSomething(t *testing.T) {
	const base = "other: {command: [/bin/true]}\nhello:\n  command: [/bin/true]\n  ports: {http: 0, debug: 0}\n"
	for _, k := range keys.List(Site{}) {
		key, ofService := strings.CutPrefix(k.Path, "services.<name>.")
		if k.Group && k.Null == "" {
			continue
		}
		t.Run(k.Path, func(t *testing.T) {
			if section, _, _ := strings.Cut(k.Path, "."); !ofService && slices.Contains([]string{"postgres", "redis", "object_storage"}, section) {
				key := k.Path[strings.LastIndexByte(k.Path, '.')+1:]
				group := strings.TrimSuffix(k.Path, "."+key)
				require.NotEqual(t, elsewhere(t, group, key, ""), elsewhere(t, group, key, key+": "+k.Example))
				return
			}
			if !ofService || provedBy()[k.Path] != "" {
				require.NotEmpty(t, provedBy()[k.Path], "add the test that shows what the key does")
				require.NoError(t, exec.Command("grep", "-rqs", "func "+provedBy()[k.Path]+"(", "../..", "--include=*_test.go").Run(), provedBy()[k.Path])
				return
			}
			before := planOf(t, base, "")
			if k.Group { // null is a value of it
				before = planOf(t, base, "services: {hello: {"+key+": {"+aroundGroup(key)+"}}}")
				require.NotEqual(t, before, planOf(t, base, "services: {hello: {"+key+": null}}"))
				return
			}
			beside, example := around(key)
			if example == "" {
				example = k.Example
			}
			outer, inner, nested := strings.Cut(strings.NewReplacer("<VARIABLE>", "NEW", "<port>", "http").Replace(key), ".")
			said := "services: {hello: {" + outer + ": " + example + "}}"
			if nested {
				if beside != "" && !strings.HasPrefix(beside, "port") {
					before = planOf(t, base, "services: {hello: {"+outer+": {http: /healthz, port: http}}}")
					beside = "http: /healthz"
					if inner != "port" {
						beside += ", port: http"
					}
				}
				said = "services: {hello: {" + outer + ": {" + strings.Trim(beside+", "+inner, ", ") + ": " + example + "}}}"
				if key == "ready.port" || key == "live.port" {
					said = strings.Replace(said, "port: http", "port: debug", 1)
				}
			}
			require.NotEqual(t, before, planOf(t, base, said), said)
		})
	}
}

func aroundGroup(key string) string {
	if key == "metrics" {
		return "port: http"
	}
	return "http: /healthz, port: http"
}

func planOf(t *testing.T, dropIn, site string) string {
	t.Helper()
	s := newSite(t, map[string]string{"services.d/hello.yaml": dropIn, "appliance.yaml": site})
	s.opts.DataDir, s.opts.RunDir, s.opts.DryRun = "/var/lib/never-made", "/run/never-made", true
	r, err := Load(s.opts)
	require.NoError(t, err, site)
	out, err := json.Marshal(r.Plan.Instances)
	require.NoError(t, err)
	return string(out)
}

// elsewhere is what runs with a server elsewhere that is named by what it needs at least, but for the key, and by more.
func elsewhere(t *testing.T, group, key, more string) string {
	t.Helper()
	words := []string{}
	for name, value := range map[string]map[string]string{
		"postgres": {"host": "a", "user": "b", "database": "c", "sslmode": "verify-ca"},
		"redis":    {"host": "a"},
		"object_storage": map[bool]map[string]string{
			true:  {"backend": "GCS", "bucket": "d", "project": "h"},
			false: {"backend": "blobstore", "endpoint": "http://a", "bucket": "d", "region": "e", "access_key_id": "f", "secret_access_key_secret": "g"},
		}[key == "project" || key == "key_secret"],
	}[strings.SplitN(group, ".", 2)[0]] {
		if name != key || more == "" {
			words = append(words, name+": "+value)
		}
	}
	if more != "" {
		words = append(words, more)
	}
	said := "{" + strings.Join(words, ", ") + "}"
	for _, name := range slices.Backward(strings.Split(group, ".")) {
		said = "{" + name + ": " + said + "}"
	}
	c, err := readConfig(siteFile(t, said))
	require.NoError(t, err)
	selection, err := c.selection("sourcegraph", "7.0.0")
	require.NoError(t, err, said)
	list, err := selection.Effective()
	require.NoError(t, err)
	out, err := json.Marshal(list)
	require.NoError(t, err)
	return string(out)
}

// TestBareFormIsTheConfiguration: what `config show` prints gives the same plan as what it was made from.
func TestBareFormIsTheConfiguration(t *testing.T) {
	s := newSite(t, map[string]string{
		"services.d/hello.yaml": hello,
		"appliance.yaml":        "services:\n  gitserver: {replicas: 2, env: {NO_PROXY: ~}}\n  postgres: {args: [-c, work_mem=16MB]}\n",
	})
	s.release("1.0.0", nil)
	first := s.load()
	text, err := first.YAML()
	require.NoError(t, err)
	require.Contains(t, string(text), "grace: 15s")
	require.Contains(t, string(text), "signal: INT")
	require.NotContains(t, string(text), first.Secrets["postgres"])
	require.Contains(t, string(text), "{{ .Secret.postgres }}")
	require.NoError(t, os.WriteFile(s.opts.ConfigFile, text, 0o600))
	second, err := Load(s.opts)
	require.NoError(t, err, string(text))
	for i := range first.Plan.Instances {
		if first.Plan.Instances[i].Service != "postgres" { // its appended arguments are the site's own words
			require.Equal(t, first.Plan.Instances[i], second.Plan.Instances[i])
		}
	}
}

func TestExplainNamesOriginAndBounds(t *testing.T) {
	s := newSite(t, map[string]string{
		"services.d/hello.yaml": "hello:\n  command: [/bin/true]\n  stop: {grace: 3s}\n",
		"appliance.yaml":        "listen: 127.0.0.1:7081\nservices:\n  gitserver:\n    env:\n      SRC_LOG_LEVEL: dbug\n",
	})
	s.release("1.0.0", nil)
	r := s.load()
	for key, want := range map[string]Explanation{
		"listen":                      {Value: "- 127.0.0.1:7081", Origin: s.opts.ConfigFile + ":1", May: "an address, or a list of such"},
		"gitserver.env.SRC_LOG_LEVEL": {Value: "dbug", Origin: s.opts.ConfigFile + ":5", May: "a text, or null: takes the variable away"},
		"frontend.env.SEARCHER_URL":   {Value: `'{{ .PeerURL "searcher" "http" }}'`, Origin: "built in", May: "a text, or null: takes the variable away"},
		"services.gitserver.replicas": {Value: "1", Origin: "built in", May: "a number, 1..1000"},
		"services.hello.stop.grace":   {Value: "3s", Origin: filepath.Join(filepath.Dir(s.opts.ConfigFile), "services.d", "hello.yaml") + ":3", May: "a duration, 0s..24h"},
		"stop_timeout":                {Value: "180s, in the image 9s", Origin: "built-in default", May: "a duration, 1s..24h"},
	} {
		got, err := r.Explain(key)
		require.NoError(t, err, key)
		require.Equal(t, want, Explanation{Value: got.Value, Origin: got.Origin, May: got.May}, key)
		require.NotEmpty(t, got.Changing, key)
	}
	_, err := r.Explain("services.gitserver.replcas")
	require.Equal(t, CodeInvalid, code(err))
	require.Equal(t, "did you mean services.gitserver.replicas?", hintOf(err))
	_, err = r.Explain("services.nobody.replicas")
	require.ErrorContains(t, err, "there is no such service")
}

// TestRollbackRestoresWhatWorked: contents, drop-ins that came since, and a link that stays one.
func TestRollbackRestoresWhatWorked(t *testing.T) {
	s := newSite(t, map[string]string{"real.yaml": "stop_timeout: 90s\n", "services.d/hello.yaml": hello})
	require.NoError(t, os.Symlink("real.yaml", s.opts.ConfigFile))
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	require.NoError(t, s.load().Keep(s.opts, "uid 0", at))
	require.NoError(t, s.load().Keep(s.opts, "uid 0", at.Add(time.Second)))
	list, err := History(s.opts.DataDir)
	require.NoError(t, err)
	require.Len(t, list, 1, "the same again is not kept again")
	_, err = Previous(s.opts)
	require.Equal(t, CodeRefused, code(err))

	require.NoError(t, os.WriteFile(s.opts.ConfigFile, []byte("listn: x\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(s.opts.ConfigFile), "services.d", "b.yaml"), []byte("b: {command: [/bin/true]}\n"), 0o600))
	_, err = Load(s.opts)
	require.Equal(t, CodeInvalid, code(err))
	before, err := Previous(s.opts)
	require.NoError(t, err)
	require.Equal(t, "uid 0", before.Who)
	require.NoError(t, before.Restore(s.opts.ConfigFile))
	require.Equal(t, 90*time.Second, s.load().Site.StopTimeout)
	link, err := os.Readlink(s.opts.ConfigFile)
	require.NoError(t, err)
	require.Equal(t, "real.yaml", link)
	_, err = os.Stat(filepath.Join(filepath.Dir(s.opts.ConfigFile), "services.d", "b.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
	for i := range 15 {
		require.NoError(t, os.WriteFile(s.opts.ConfigFile, []byte("stop_timeout: "+strconv.Itoa(i+10)+"s\n"), 0o600))
		require.NoError(t, s.load().Keep(s.opts, "uid 0", at.Add(time.Duration(i+2)*time.Second)))
	}
	list, err = History(s.opts.DataDir)
	require.NoError(t, err)
	require.Len(t, list, keptConfigs)
}

func BenchmarkLoadUnchanged(b *testing.B) {
	dir := b.TempDir()
	o := Options{DataDir: dir, RunDir: dir, ConfigFile: filepath.Join(dir, "appliance.yaml"), ReleaseNone: true}
	require.NoError(b, os.MkdirAll(filepath.Join(dir, "services.d"), 0o755))
	require.NoError(b, os.WriteFile(filepath.Join(dir, "services.d", "hello.yaml"), []byte(hello), 0o600))
	for b.Loop() {
		if _, err := Load(o); err != nil {
			b.Fatal(err)
		}
	}
}
