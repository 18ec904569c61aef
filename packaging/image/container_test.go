package image_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// enough is how long anything may take on a slow machine.
const enough = 90 * time.Second

// container is one that runs the image, with its published port.
type container struct {
	t        *testing.T
	id, addr string
	token    string // the administrator's
}

// volume makes one, and removes it with the test.
func volume(t *testing.T) string {
	t.Helper()
	needImage(t)
	name := docker(t, "volume", "create", "--label", "sourcegraph-test")
	t.Cleanup(func() { docker(t, "volume", "rm", name) })
	return name
}

// run starts a container on the volume as README says, with more options, and removes it with the test.
func run(t *testing.T, volume string, options ...string) *container {
	t.Helper()
	args := append([]string{"run", "-d", "-p", "127.0.0.1::7080", "-v", volume + ":/var/lib/sourcegraph"}, options...)
	c := &container{t: t, id: docker(t, append(args, needImage(t))...)}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command("docker", "logs", c.id).CombinedOutput() // for the eye
			t.Logf("docker logs:\n%s", out)
		}
		c.remove()
	})
	return c
}

func (c *container) remove() { _ = exec.Command("docker", "rm", "-f", "-v", c.id).Run() } // again is fine

// ready waits until a search can be answered.
func (c *container) ready() *container {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return c.running() && c.answers() || !c.running() }, enough, 50*time.Millisecond)
	require.True(c.t, c.running(), "it ended: %s", c.logs())
	return c
}

// answers asks for readyz at the port that Docker publishes now: a restart changes it.
func (c *container) answers() bool {
	out, err := exec.Command("docker", "port", c.id, "7080/tcp").Output()
	if err != nil {
		return false
	}
	c.addr, _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	resp, err := http.Get("http://" + c.addr + "/-/appliance/readyz")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func (c *container) inspect(format string) string {
	c.t.Helper()
	return docker(c.t, "inspect", "-f", format, c.id)
}

func (c *container) running() bool { return c.inspect("{{.State.Running}}") == "true" }
func (c *container) logs() string  { c.t.Helper(); return docker(c.t, "logs", c.id) }

// exit waits for the end and gives the exit code.
func (c *container) exit() int {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return !c.running() }, enough, 50*time.Millisecond)
	code, err := strconv.Atoi(c.inspect("{{.State.ExitCode}}"))
	require.NoError(c.t, err)
	return code
}

// stop is docker stop with its own 10 s. Killed after them, the exit code would be 137; an appliance that had to kill gives 3.
func (c *container) stop() {
	c.t.Helper()
	before := strings.Count(c.logs(), "database system is shut down")
	docker(c.t, "stop", c.id)
	require.Equal(c.t, 0, c.exit(), c.logs())
	require.Equal(c.t, before+1, strings.Count(c.logs(), "database system is shut down"), "PostgreSQL's clean end")
}

// status is the part of `status --json` that the tests look at.
type status struct {
	Appliance struct {
		Ready    bool
		SetupURL string `json:"setup_url"`
		Grade    struct {
			Limits, Isolation string
			Why               []string
		}
	}
	Services []struct {
		Name, State string
		Run         int
	}
}

func (c *container) status() (s status) {
	c.t.Helper()
	require.NoError(c.t, json.Unmarshal([]byte(docker(c.t, "exec", c.id, "sourcegraph", "status", "--json")), &s))
	return s
}

func (c *container) post(path string, body any, header ...string) (*http.Response, string) {
	c.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(c.t, err)
	req, err := http.NewRequest("POST", "http://"+c.addr+path, bytes.NewReader(text))
	require.NoError(c.t, err)
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "token "+c.token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return resp, string(answer)
}

// graphql asks a query that must succeed.
func (c *container) graphql(data any, query string, variables map[string]any, header ...string) {
	c.t.Helper()
	resp, body := c.post("/.api/graphql", map[string]any{"query": query, "variables": variables}, header...)
	require.Equal(c.t, http.StatusOK, resp.StatusCode, body)
	answer := struct {
		Data   any
		Errors []struct{ Message string }
	}{Data: data}
	require.NoError(c.t, json.Unmarshal([]byte(body), &answer), body)
	require.Empty(c.t, answer.Errors)
}

// administrator makes the first one, which off loopback takes the token of the setup URL, and an access token.
func (c *container) administrator() {
	c.t.Helper()
	setup := c.status().Appliance.SetupURL
	require.Contains(c.t, c.logs(), setup, "docker logs shows where to go")
	_, once, ok := strings.Cut(setup, "token=")
	require.True(c.t, ok, setup)

	account := map[string]string{"email": "root@example.com", "username": "root", "password": "correct horse"}
	resp, body := c.post("/-/site-init", account)
	require.Equal(c.t, http.StatusForbidden, resp.StatusCode, "whoever comes first does not own it: %s", body)
	resp, body = c.post("/-/site-init", account, "X-Appliance-Setup", once)
	require.Equal(c.t, http.StatusOK, resp.StatusCode, body)
	cookie, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";")

	var me struct{ CurrentUser struct{ ID string } }
	c.graphql(&me, `{currentUser{id}}`, nil, "Cookie", cookie)
	var made struct{ CreateAccessToken struct{ Token string } }
	c.graphql(&made, `mutation($u: ID!) {createAccessToken(user: $u, scopes: ["user:all"], note: "image") {id token}}`,
		map[string]any{"u": me.CurrentUser.ID}, "Cookie", cookie)
	require.NotEmpty(c.t, made.CreateAccessToken.Token)
	c.token = made.CreateAccessToken.Token
	require.Eventually(c.t, func() bool { return c.status().Appliance.SetupURL == "" }, enough, 100*time.Millisecond, "the setup URL ends")
}

func (c *container) whoami() string {
	c.t.Helper()
	var me struct{ CurrentUser struct{ Username string } }
	c.graphql(&me, `{currentUser{username}}`, nil)
	return me.CurrentUser.Username
}

// add copies a repository into the volume and adds it.
func (c *container) add(dir string) {
	c.t.Helper()
	docker(c.t, "cp", dir, c.id+":/var/lib/sourcegraph/sample.git")
	c.graphql(nil, `mutation($c: String!) {addExternalService(input: {kind: OTHER, displayName: "image", config: $c}) {id}}`,
		map[string]any{"c": `{"repos": ["file:///var/lib/sourcegraph/sample.git"]}`})
}

// finds waits until a search gives exactly so many matches.
func (c *container) finds(query string, want int) {
	c.t.Helper()
	var last string
	found := func() bool {
		_, last = c.post("/.api/graphql", map[string]any{
			"query": `query($q: String!) {search(query: $q, version: V3) {results {matchCount}}}`, "variables": map[string]any{"q": query},
		})
		return strings.Contains(last, fmt.Sprintf(`"matchCount":%d}`, want))
	}
	require.Eventually(c.t, found, enough, 100*time.Millisecond, "%s: %s", query, &last)
}
