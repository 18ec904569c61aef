package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/cmd/demo/internal/backing"
	"github.com/sourcegraph/appliance/cmd/demo/internal/fault"
)

// TestMain makes the test binary all programs of the demo, when it is called by their names.
func TestMain(m *testing.M) {
	if code, is := fault.Helper(os.Args); is {
		os.Exit(code)
	}
	if programs()[filepath.Base(os.Args[0])] != nil {
		os.Exit(run(os.Args))
	}
	os.Exit(m.Run())
}

// stack is a whole demo on loopback.
type stack struct {
	t     *testing.T
	env   []string
	addrs map[string]string
	procs map[string]*process
	token string
}

// process is one program under way.
type process struct {
	cmd *exec.Cmd
	out *output
	end chan struct{} // closed when it is gone
}

// output may be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// newStack starts PostgreSQL and Redis, migrates, and starts nothing else.
func newStack(t *testing.T) *stack {
	pg, redis := backing.StartPostgres(t), backing.StartRedis(t)
	pg.NewDatabase(t, "sg")
	dir := t.TempDir()
	s := &stack{t: t, procs: map[string]*process{}, addrs: map[string]string{}}
	for _, name := range []string{"public", "internal", "gitserver", "searcher", "worker"} {
		s.addrs[name] = freeAddr(t)
	}
	s.env = slices.Concat(os.Environ(), pg.Env("sg"), []string{
		"CONFIGURATION_MODE=server", "REDIS_ENDPOINT=" + redis, "SRC_PROF_HTTP=127.0.0.1:0", "SRC_LOG_LEVEL=info", "HOME=" + dir,
		"SRC_HTTP_ADDR=" + s.addrs["public"], "SRC_HTTP_ADDR_INTERNAL=" + s.addrs["internal"], "SRC_FRONTEND_INTERNAL=" + s.addrs["internal"],
		"SRC_GIT_SERVERS=" + s.addrs["gitserver"], "GITSERVER_ADDR=" + s.addrs["gitserver"], "HOSTNAME=" + s.addrs["gitserver"], "SRC_REPOS_DIR=" + dir + "/repos",
		"SEARCHER_URL=http://" + s.addrs["searcher"], "SEARCHER_ADDR=" + s.addrs["searcher"], "CACHE_DIR=" + dir + "/cache", "WORKER_ADDR=" + s.addrs["worker"],
	})
	return s
}

func freeAddr(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	return ln.Addr().String()
}

// start starts a program with some more environment.
func (s *stack) start(name string, env ...string) *process {
	s.t.Helper()
	self, err := os.Executable()
	require.NoError(s.t, err)
	p := &process{cmd: exec.Command(self), out: new(output), end: make(chan struct{})}
	p.cmd.Args = []string{name}
	p.cmd.Env = slices.Concat(s.env, env)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.WaitDelay = time.Second // helpers that escape keep the pipe
	require.NoError(s.t, p.cmd.Start())
	go func() {
		p.cmd.Wait() // the exit code is in ProcessState
		close(p.end)
	}()
	s.procs[name] = p
	s.t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.end
		if s.t.Failed() {
			s.t.Logf("%s:\n%s", name, p.out)
		}
	})
	return p
}

// exit waits for the end of a process and gives its code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.end:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		t.Fatalf("still running after 30 s: %s", p.out)
		return -1
	}
}

func (s *stack) stop(name string) int {
	s.t.Helper()
	require.NoError(s.t, s.procs[name].cmd.Process.Signal(syscall.SIGTERM))
	return s.procs[name].exit(s.t)
}

// up starts everything and waits until it is healthy.
func (s *stack) up() {
	s.t.Helper()
	require.Equal(s.t, 0, s.start("migrator").exit(s.t))
	for _, name := range []string{"frontend", "gitserver", "searcher", "worker"} {
		s.start(name)
	}
	s.healthy("public", "/healthz")
	s.healthy("gitserver", "/ping")
	s.healthy("searcher", "/healthz")
	s.healthy("worker", "/healthz")
}

func (s *stack) healthy(name, path string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		resp, err := http.Get("http://" + s.addrs[name] + path)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 30*time.Second, 20*time.Millisecond, name)
}

func (s *stack) url(path string) string { return "http://" + s.addrs["public"] + path }

// request sends JSON with the token, if there is one, and gives the whole answer.
func (s *stack) request(method, path string, body any, header ...string) (*http.Response, string) {
	s.t.Helper()
	var b bytes.Buffer
	require.NoError(s.t, json.NewEncoder(&b).Encode(body))
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url(path), &b)
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", "application/json")
	if s.token != "" {
		req.Header.Set("Authorization", "token "+s.token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // no redirects
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp, string(text)
}

// graphql runs a query into data, and gives the errors' messages.
func (s *stack) graphql(data any, query string, variables map[string]any) []string {
	s.t.Helper()
	resp, body := s.request("POST", "/.api/graphql", map[string]any{"query": query, "variables": variables})
	require.Equal(s.t, http.StatusOK, resp.StatusCode, body)
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	require.NoError(s.t, json.Unmarshal([]byte(body), &answer))
	var messages []string
	for _, e := range answer.Errors {
		messages = append(messages, e.Message)
	}
	if data != nil && len(messages) == 0 {
		require.NoError(s.t, json.Unmarshal(answer.Data, data))
	}
	return messages
}

// administrator makes the first one and a token.
func (s *stack) administrator() {
	s.t.Helper()
	resp, body := s.request("POST", "/-/site-init", map[string]string{"email": "root@example.com", "username": "root", "password": "correct horse"})
	require.Equal(s.t, http.StatusOK, resp.StatusCode, body)
	cookie := resp.Header.Get("Set-Cookie")
	cookie, _, _ = strings.Cut(cookie, ";")
	_, body = s.request("POST", "/.api/graphql", map[string]any{"query": `{currentUser{id}}`}, "Cookie", cookie)
	var me struct {
		Data struct{ CurrentUser struct{ ID string } }
	}
	require.NoError(s.t, json.Unmarshal([]byte(body), &me), body)
	_, body = s.request("POST", "/.api/graphql", map[string]any{
		"query":     `mutation($u: ID!) {createAccessToken(user: $u, scopes: ["user:all"], note: "test") {id token}}`,
		"variables": map[string]any{"u": me.Data.CurrentUser.ID},
	}, "Cookie", cookie)
	var made struct {
		Data struct{ CreateAccessToken struct{ Token string } }
	}
	require.NoError(s.t, json.Unmarshal([]byte(body), &made), body)
	require.NotEmpty(s.t, made.Data.CreateAccessToken.Token, body)
	s.token = made.Data.CreateAccessToken.Token
}

// addRepos adds repositories below a directory; wait says whether until they are cloned.
func (s *stack) addRepos(dir string, wait bool, names ...string) {
	s.t.Helper()
	config, err := json.Marshal(map[string]any{"url": "file://" + dir, "repos": names})
	require.NoError(s.t, err)
	require.Empty(s.t, s.graphql(nil, `mutation($c: String!) {addExternalService(input: {kind: OTHER, displayName: "test", config: $c}) {id warning}}`,
		map[string]any{"c": string(config)}))
	if !wait {
		return
	}
	require.Eventually(s.t, func() bool {
		var d struct {
			Repositories struct{ TotalCount int }
		}
		require.Empty(s.t, s.graphql(&d, `{repositories(cloned: true, notCloned: false, cloneInProgress: false) {totalCount}}`, nil))
		return d.Repositories.TotalCount >= len(names)
	}, 30*time.Second, 50*time.Millisecond)
}

// results is what a GraphQL search gives.
type results struct {
	MatchCount, ResultCount, ElapsedMilliseconds int
	LimitHit                                     bool
	Cloning, Missing, Timedout                   []struct{ Name string }
	Alert                                        *struct{ Title, Description string }
	Results                                      []struct {
		Typename   string `json:"__typename"`
		Name       string
		Repository struct{ Name string }
		File       struct {
			Path, URL, Content string
			Commit             struct{ OID string }
		}
		LineMatches []struct {
			Preview          string
			LineNumber       int
			OffsetAndLengths [][2]int
		}
	}
}

func (s *stack) search(query string) results {
	s.t.Helper()
	var d struct{ Search struct{ Results results } }
	require.Empty(s.t, s.graphql(&d, `query($q: String!) {search(query: $q, version: V3) {results {
		matchCount resultCount limitHit elapsedMilliseconds cloning {name} missing {name} timedout {name} alert {title description}
		results {__typename
			... on FileMatch {repository {name} file {path url content commit {oid}} lineMatches {preview lineNumber offsetAndLengths}}
			... on Repository {name}}}}}`, map[string]any{"q": query}))
	return d.Search.Results
}

// event is one of a stream.
type event struct{ Name, Data string }

func (s *stack) stream(ctx context.Context, query string) (<-chan event, *http.Response) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", s.url("/.api/search/stream?v=V3&q="+strings.ReplaceAll(query, " ", "+")), nil)
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "token "+s.token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	events := make(chan event)
	go func() {
		defer close(events)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return
		}
		for _, block := range strings.Split(strings.TrimSpace(string(body)), "\n\n") {
			name, data, _ := strings.Cut(block, "\n")
			events <- event{strings.TrimPrefix(name, "event: "), strings.TrimPrefix(data, "data: ")}
		}
	}()
	return events, resp
}

// repository makes a repository of the given files; each pair is a path and a content.
func repository(t *testing.T, dir string, pairs ...string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	git(t, dir, "init", "-q", "-b", "main")
	commit(t, dir, pairs...)
}

func commit(t *testing.T, dir string, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		file := filepath.Join(dir, pairs[i])
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(pairs[i+1]), 0o644))
	}
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "--allow-empty", "-m", fmt.Sprint(len(pairs)))
}

func git(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}
