package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDemo(t *testing.T) {
	s := newStack(t)
	require.Equal(t, 1, s.start("frontend").exit(t), "an unmigrated schema is refused")
	require.Contains(t, s.procs["frontend"].out.String(), "schema out of date")
	s.up()
	src := t.TempDir()
	repository(t, src+"/one", "main.go", "package main\n\nfunc main() {\n\tprintln(\"needle\", \"needle\")\n}\n", "docs/README.md", "# needle here\nÜber needle\n", "we ird/na#me?%20.txt", "needle\n")
	git(t, src+"/one", "tag", "v1")
	commit(t, src+"/one", "later.txt", "needle of v2\n")
	repository(t, src+"/two", "two.py", "print('needle')\n", "evil.html", "<script>alert('needle')</script>\n")

	t.Run("strangers are kept out", func(t *testing.T) {
		for _, path := range []string{"/.api/graphql", "/.api/search/stream?q=x"} {
			method := map[bool]string{true: "POST", false: "GET"}[strings.HasSuffix(path, "graphql")]
			resp, _ := s.request(method, path, map[string]string{"query": "{site{productVersion}}"})
			require.Equal(t, http.StatusUnauthorized, resp.StatusCode, path)
		}
		resp, _ := s.request("GET", "/search", nil)
		require.Equal(t, "/site-admin/init", resp.Header.Get("Location"))
		resp, _ = s.request("POST", "/.api/graphql", nil, "Authorization", "token sgp_wrong")
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	})

	t.Run("bad first administrators are refused by field", func(t *testing.T) {
		resp, body := s.request("POST", "/-/site-init", map[string]string{"email": "nobody", "username": "-x", "password": "short"})
		require.Equal(t, http.StatusBadRequest, resp.StatusCode)
		for _, field := range []string{"email", "username", "password"} {
			require.Contains(t, body, field)
		}
	})

	s.administrator()

	t.Run("the first administrator is made once", func(t *testing.T) {
		resp, _ := s.request("POST", "/-/site-init", map[string]string{"email": "b@example.com", "username": "b", "password": "correct horse"})
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
	})

	t.Run("who and what", func(t *testing.T) {
		var d struct {
			CurrentUser struct {
				Username, Email string
				SiteAdmin       bool
			}
			Site struct{ ProductVersion, SiteID string }
		}
		require.Empty(t, s.graphql(&d, `{currentUser{username email siteAdmin} site{productVersion siteID}}`, nil))
		require.Equal(t, "root", d.CurrentUser.Username)
		require.True(t, d.CurrentUser.SiteAdmin)
		require.Equal(t, version, d.Site.ProductVersion)
		require.Len(t, d.Site.SiteID, 36)
	})

	t.Run("no repositories is an alert", func(t *testing.T) {
		require.Equal(t, "No repositories", s.search("x").Alert.Title)
	})

	s.addRepos(src, true, "one", "two")
	prefix := strings.TrimPrefix(src, "/") + "/"

	t.Run("exact counts", func(t *testing.T) {
		for query, want := range map[string]int{
			"needle count:all":                          8,
			"needle repo:two$":                          2,
			"needle -repo:two$":                         6,
			"needle repo:one$@v1":                       5,
			"needle repo:one$ rev:v1":                   5,
			"needle lang:python":                        1,
			"needle -lang:python -file:html":            6,
			"NEEDLE case:yes":                           0,
			"NEEDLE":                                    8,
			"file:README needle":                        2,
			"type:path file:\\.py$":                     1,
			"file:\\.py$":                               1,
			"type:repo one$ patternType:regexp":         1,
			"repo:.":                                    2,
			"patternType:regexp needle.*needle":         1,
			"/ne+dle/ repo:two":                         2,
			"\"func main() {\"":                         1,
			"content:\"print('needle')\"":               1,
			"needle count:3":                            3,
			"needle repo:" + prefix + "one$ file:later": 1,
		} {
			t.Run(query, func(t *testing.T) {
				r := s.search(query)
				require.Nil(t, r.Alert)
				require.Equal(t, want, r.MatchCount)
				require.Equal(t, want, r.ResultCount)
				require.Equal(t, query == "needle count:3", r.LimitHit)
			})
		}
	})

	t.Run("offsets count characters", func(t *testing.T) {
		r := s.search("needle file:README")
		require.Len(t, r.Results, 1)
		m := r.Results[0]
		require.Equal(t, "FileMatch", m.Typename)
		require.Equal(t, "Über needle", m.LineMatches[1].Preview)
		require.Equal(t, 1, m.LineMatches[1].LineNumber)
		require.Equal(t, [][2]int{{5, 6}}, m.LineMatches[1].OffsetAndLengths)
		require.Equal(t, "# needle here\nÜber needle\n", m.File.Content)
		require.Equal(t, "/"+prefix+"one/-/blob/docs/README.md", m.File.URL)
		require.Len(t, m.File.Commit.OID, 40)
	})

	t.Run("bad queries are alerts", func(t *testing.T) {
		for query, want := range map[string]string{
			"patternType:regexp (":  "Invalid regular expression",
			"file:[ x":              "Invalid filter",
			"reop:one x":            "Did you mean repo:?",
			"lang:klingon x":        "klingon",
			"repo:nowhere needle":   "No repositories found",
			"repo:one@nobranch x":   "could not be searched",
			"\"needle":              "Unterminated quote",
			"needle patternType:no": "patternType:literal",
		} {
			t.Run(query, func(t *testing.T) {
				r := s.search(query)
				require.NotNil(t, r.Alert)
				require.Contains(t, r.Alert.Title+" "+r.Alert.Description, want)
			})
		}
	})

	t.Run("the stream", func(t *testing.T) {
		events, resp := s.stream(t.Context(), "needle count:all")
		require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
		matches, last := 0, ""
		for e := range events {
			last = e.Name
			require.True(t, json.Valid([]byte(e.Data)), e.Data)
			if e.Name == "matches" {
				var list []struct {
					Type, Path, Repository, Commit string
					LineMatches                    []struct{ OffsetAndLengths [][2]int }
				}
				require.NoError(t, json.Unmarshal([]byte(e.Data), &list))
				for _, m := range list {
					require.Equal(t, "content", m.Type)
					for _, l := range m.LineMatches {
						matches += len(l.OffsetAndLengths)
					}
				}
			}
		}
		require.Equal(t, 8, matches)
		require.Equal(t, "done", last)
	})

	t.Run("a bad query streams an alert", func(t *testing.T) {
		events, _ := s.stream(t.Context(), "patternType:regexp [")
		var names []string
		for e := range events {
			names = append(names, e.Name)
		}
		require.Equal(t, []string{"alert", "progress", "done"}, names)
	})

	t.Run("pages", func(t *testing.T) {
		for path, want := range map[string]string{
			"/search?q=<script>":                                     "&lt;script&gt;",
			"/repositories":                                          prefix + "one",
			"/user/settings/tokens":                                  "test",
			"/" + prefix + "one":                                     "later.txt",
			"/" + prefix + "one@v1":                                  "main.go",
			"/" + prefix + "one/-/tree/docs":                         "README.md",
			"/" + prefix + "one/-/blob/main.go":                      `id="L3"`,
			"/" + prefix + "two/-/blob/evil.html":                    "&lt;script&gt;",
			"/" + prefix + "one/-/blob/we%20ird/na%23me%3F%2520.txt": "needle",
			"/" + prefix + "one/-/raw/main.go":                       "package main",
		} {
			t.Run(path, func(t *testing.T) {
				resp, body := s.request("GET", path, nil)
				require.Equal(t, http.StatusOK, resp.StatusCode, body)
				require.Contains(t, body, want)
				require.NotContains(t, body, "<script>a")
				require.Contains(t, resp.Header.Get("Content-Security-Policy"), "default-src 'none'")
				require.NotContains(t, body, "Sourcegraph")
			})
		}
		for _, path := range []string{"/nowhere", "/" + prefix + "one@nobranch", "/" + prefix + "one/-/blob/nofile", "/" + prefix + "one/-/what/x"} {
			resp, _ := s.request("GET", path, nil)
			require.Equal(t, http.StatusNotFound, resp.StatusCode, path)
		}
		resp, _ := s.request("GET", "/"+prefix+"two/-/raw/evil.html", nil)
		require.Contains(t, resp.Header.Get("Content-Security-Policy"), "sandbox")
		require.Equal(t, "application/octet-stream", resp.Header.Get("Content-Type"))
	})

	t.Run("other sites cannot act for a user", func(t *testing.T) {
		for _, path := range []string{"/-/sign-in", "/-/sign-out", "/repositories/add", "/.api/graphql", "/user/settings/tokens/new"} {
			resp, _ := s.request("POST", path, nil, "Origin", "http://evil.example")
			require.Equal(t, http.StatusForbidden, resp.StatusCode, path)
		}
	})

	t.Run("sign in and out", func(t *testing.T) {
		jar, err := cookiejar.New(nil)
		require.NoError(t, err)
		client := &http.Client{Jar: jar}
		post := func(path, body string) int {
			resp, err := client.Post(s.url(path), "application/json", strings.NewReader(body))
			require.NoError(t, err)
			defer resp.Body.Close()
			return resp.StatusCode
		}
		whoami := func() int { return post("/.api/graphql", `{"query":"{currentUser{username}}"}`) }
		require.Equal(t, http.StatusUnauthorized, post("/-/sign-in", `{"email":"ROOT","password":"wrong"}`))
		require.Equal(t, http.StatusUnauthorized, post("/-/sign-in", `{"email":"nobody@example.com","password":"wrong"}`))
		require.Equal(t, http.StatusUnauthorized, whoami())
		require.Equal(t, http.StatusOK, post("/-/sign-in", `{"email":"Root@Example.com","password":"correct horse"}`))
		require.Equal(t, http.StatusOK, whoami())
		require.Equal(t, http.StatusOK, post("/-/sign-out", ``))
		require.Equal(t, http.StatusUnauthorized, whoami())
		for range 12 {
			post("/-/sign-in", `{"username":"root","password":"guess"}`)
		}
		require.Equal(t, http.StatusTooManyRequests, post("/-/sign-in", `{"username":"root","password":"correct horse"}`))
	})

	t.Run("bad code hosts are refused", func(t *testing.T) {
		for config, want := range map[string]string{
			`{"url": "file:///x", "repos": []}`:     "repos is empty",
			`{"url": "ftp://x", "repos": ["a"]}`:    "want file, http, https, ssh or git",
			`{"url": "file:///x", "repoz": ["a"]}`:  "repoz",
			`nonsense`:                              "not JSON",
			`{"url":"https://u:pw@","repos":["a"]}`: "names no host",
		} {
			errs := s.graphql(nil, `mutation($c: String!) {addExternalService(input: {kind: OTHER, displayName: "x", config: $c}) {id}}`, map[string]any{"c": config})
			require.Len(t, errs, 1, config)
			require.Contains(t, errs[0], want)
			require.NotContains(t, errs[0], "pw")
		}
		require.Len(t, s.graphql(nil, `mutation {addExternalService(input: {kind: GITHUB, displayName: "x", config: "{}"}) {id}}`, nil), 1)
	})

	t.Run("a repository that does not exist says so and harms nobody", func(t *testing.T) {
		s.addRepos(src, false, "missing")
		require.Eventually(t, func() bool {
			var d struct {
				Repository struct {
					MirrorInfo struct {
						Cloned    bool
						LastError *string
					}
				}
			}
			require.Empty(t, s.graphql(&d, `query($n: String!) {repository(name: $n) {mirrorInfo {cloned lastError}}}`, map[string]any{"n": prefix + "missing"}))
			return !d.Repository.MirrorInfo.Cloned && d.Repository.MirrorInfo.LastError != nil
		}, 30*time.Second, 50*time.Millisecond)
		r := s.search("needle count:all")
		require.Equal(t, 8, r.MatchCount)
		require.Equal(t, prefix+"missing", r.Missing[0].Name)
	})

	t.Run("a code host goes with its repositories", func(t *testing.T) {
		var d struct {
			ExternalServices struct{ Nodes []struct{ ID string } }
		}
		require.Empty(t, s.graphql(&d, `{externalServices {nodes {id}}}`, nil))
		require.Len(t, d.ExternalServices.Nodes, 2)
		require.Empty(t, s.graphql(nil, `mutation($i: ID!) {deleteExternalService(externalService: $i) {alwaysNil}}`, map[string]any{"i": d.ExternalServices.Nodes[1].ID}))
		require.Empty(t, s.search("needle count:all").Missing)
	})

	t.Run("a lost clone comes back by itself", func(t *testing.T) {
		repos := ""
		for _, kv := range s.env {
			if strings.HasPrefix(kv, "SRC_REPOS_DIR=") {
				repos = strings.TrimPrefix(kv, "SRC_REPOS_DIR=")
			}
		}
		require.Equal(t, 0, s.stop("gitserver"))
		require.NoError(t, os.RemoveAll(repos))
		s.start("gitserver")
		s.healthy("gitserver", "/ping")
		require.Eventually(t, func() bool { return s.search("needle count:all").MatchCount == 8 }, 30*time.Second, 100*time.Millisecond)
	})

	t.Run("kill -9 of each service", func(t *testing.T) {
		for _, name := range []string{"frontend", "gitserver", "searcher", "worker"} {
			require.NoError(t, s.procs[name].cmd.Process.Kill())
			s.procs[name].exit(t)
			s.start(name)
		}
		s.healthy("public", "/healthz")
		s.healthy("worker", "/healthz")
		require.Eventually(t, func() bool { return s.search("needle count:all").MatchCount == 8 }, 30*time.Second, 100*time.Millisecond)
	})

	t.Run("everyone but the frontend exits when the database moves", func(t *testing.T) {
		require.Equal(t, 0, s.stop("frontend"))
		moved := ""
		for _, kv := range s.env {
			if strings.HasPrefix(kv, "PGHOST=") {
				moved = kv + "/" // the same directory by another name
			}
		}
		s.start("frontend", moved)
		require.Equal(t, 1, s.procs["worker"].exit(t))
		out := s.procs["worker"].out.String()
		require.Contains(t, out, "Detected settings change")
		require.NotContains(t, out, "p@ss")
		require.NotContains(t, out, "p%40ss")
	})

	t.Run("TERM stops with 0", func(t *testing.T) {
		s.start("worker")
		s.healthy("worker", "/healthz")
		for _, name := range []string{"frontend", "searcher", "worker"} {
			require.Equal(t, 0, s.stop(name), name)
		}
	})
}

func TestTwoFirstAdministratorsAtOnceMakeOne(t *testing.T) {
	s := newStack(t)
	require.Equal(t, 0, s.start("migrator").exit(t))
	s.start("frontend")
	s.healthy("public", "/healthz")
	const rivals = 8
	codes := make(chan int, rivals)
	var ready sync.WaitGroup
	ready.Add(rivals)
	for i := range rivals {
		go func() {
			body := `{"email":"u` + string(rune('a'+i)) + `@example.com","username":"u` + string(rune('a'+i)) + `","password":"correct horse"}`
			ready.Done()
			ready.Wait()
			resp, err := http.Post(s.url("/-/site-init"), "application/json", strings.NewReader(body))
			if err != nil {
				codes <- 0
				return
			}
			resp.Body.Close()
			codes <- resp.StatusCode
		}()
	}
	count := map[int]int{}
	for range rivals {
		count[<-codes]++
	}
	require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusForbidden: rivals - 1}, count)
}

func TestHealthzSaysWhatIsAway(t *testing.T) {
	s := newStack(t)
	require.Equal(t, 0, s.start("migrator").exit(t))
	s.start("frontend", "REDIS_STORE_ENDPOINT=redis://:hunter2@"+freeAddr(t))
	require.Eventually(t, func() bool {
		resp, err := http.Get(s.url("/healthz"))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusServiceUnavailable
	}, 30*time.Second, 20*time.Millisecond)
	_, body := s.request("GET", "/healthz", nil)
	require.Contains(t, body, "redis-store")
	require.NotContains(t, body, "hunter2")
}

func TestFrontendDrains(t *testing.T) {
	s := newStack(t)
	require.Equal(t, 0, s.start("migrator").exit(t))
	p := s.start("frontend", "DEMO_HANG_AFTER=1ns", "SRC_GRACEFUL_SHUTDOWN_TIMEOUT=1h")
	require.Eventually(t, func() bool { return strings.Contains(p.out.String(), "ready at") }, 30*time.Second, 20*time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hung := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, "GET", s.url("/healthz"), nil)
		if err == nil {
			_, err = http.DefaultTransport.RoundTrip(req)
		}
		hung <- err
	}()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGINT), "the second signal ends it at once")
	require.Equal(t, 0, p.exit(t))
	require.Error(t, <-hung)
}

func TestWrongConfigurationExits2(t *testing.T) {
	s := &stack{t: t, procs: map[string]*process{}, env: []string{"SRC_PROF_HTTP=127.0.0.1:0", "PATH=" + os.Getenv("PATH")}}
	for name, tc := range map[string]struct{ program, env, want string }{
		"mode":     {"frontend", "CONFIGURATION_MODE=client", "CONFIGURATION_MODE=server"},
		"fault":    {"worker", "DEMO_HANG_AFTER=soon", `DEMO_HANG_AFTER=\"soon\"`},
		"interval": {"worker", "DEMO_FETCH_INTERVAL=1ms", "DEMO_FETCH_INTERVAL"},
		"level":    {"worker", "SRC_LOG_LEVEL=loud", "SRC_LOG_LEVEL"},
		"grace":    {"worker", "SRC_GRACEFUL_SHUTDOWN_TIMEOUT=x", "SRC_GRACEFUL_SHUTDOWN_TIMEOUT"},
		"redis":    {"frontend", "REDIS_ENDPOINT=redis://:hunter2@host:port", "REDIS_CACHE_ENDPOINT"},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.start(tc.program, tc.env, "CONFIGURATION_MODE="+map[bool]string{true: "client", false: "server"}[name == "mode"])
			require.Equal(t, 2, p.exit(t))
			require.Contains(t, p.out.String(), tc.want)
			require.NotContains(t, p.out.String(), "hunter2")
		})
	}
	require.Equal(t, 2, run([]string{"demo"}))
	require.Equal(t, 2, run([]string{"demo", "nonsense"}))
	require.Equal(t, 0, run([]string{"demo", "version"}))
}

// TestSiteConfigFileGoverns: the files of SITE_CONFIG_FILE are the site configuration, a later one wins, and one that cannot be read ends the start.
func TestSiteConfigFileGoverns(t *testing.T) {
	s := newStack(t)
	require.Equal(t, 0, s.start("migrator").exit(t))
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first.jsonc"), filepath.Join(dir, "second.jsonc")
	require.NoError(t, os.WriteFile(first, []byte("{\"auth.minPasswordLength\": 9, // short\n}"), 0o600))
	require.NoError(t, os.WriteFile(second, []byte(`{"auth.minPasswordLength": 20}`), 0o600))
	s.start("frontend", "SITE_CONFIG_FILE="+first+":"+second)
	s.healthy("public", "/healthz")
	init := map[string]string{"email": "root@example.com", "username": "root", "password": "nineteen characters"}
	resp, body := s.request("POST", "/-/site-init", init)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode, body)
	require.Contains(t, body, "want 20 to 72 bytes")
	require.Equal(t, 0, s.stop("frontend"))

	s.start("frontend", "SITE_CONFIG_FILE="+first)
	s.healthy("public", "/healthz")
	resp, body = s.request("POST", "/-/site-init", init)
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
	require.Equal(t, 0, s.stop("frontend"))

	require.NoError(t, os.WriteFile(first, []byte("{"), 0o600))
	require.NotEqual(t, 0, s.start("frontend", "SITE_CONFIG_FILE="+first).exit(t))
	require.Contains(t, s.procs["frontend"].out.String(), first)
}
