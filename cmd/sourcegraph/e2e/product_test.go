package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// post sends JSON as the administrator, or with the headers given.
func (a *appliance) post(path string, body any, header ...string) (*http.Response, string) {
	a.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(a.t, err)
	req, err := http.NewRequest("POST", a.url(path), bytes.NewReader(text))
	require.NoError(a.t, err)
	req.Header.Set("Content-Type", "application/json")
	if a.token != "" {
		req.Header.Set("Authorization", "token "+a.token)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(a.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(a.t, err)
	return resp, string(answer)
}

// graphql asks a query that must succeed.
func (a *appliance) graphql(data any, query string, variables map[string]any, header ...string) {
	a.t.Helper()
	resp, body := a.post("/.api/graphql", map[string]any{"query": query, "variables": variables}, header...)
	require.Equal(a.t, http.StatusOK, resp.StatusCode, body)
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	require.NoError(a.t, json.Unmarshal([]byte(body), &answer), body)
	require.Empty(a.t, answer.Errors)
	if data != nil {
		require.NoError(a.t, json.Unmarshal(answer.Data, data))
	}
}

const password = "correct horse"

// administrator makes the first one, and a token.
func (a *appliance) administrator() {
	a.t.Helper()
	resp, body := a.post("/-/site-init", map[string]string{"email": "root@example.com", "username": "root", "password": password})
	require.Equal(a.t, http.StatusOK, resp.StatusCode, body)
	cookie, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";")
	var me struct{ CurrentUser struct{ ID string } }
	a.graphql(&me, `{currentUser{id}}`, nil, "Cookie", cookie)
	var made struct{ CreateAccessToken struct{ Token string } }
	a.graphql(&made, `mutation($u: ID!) {createAccessToken(user: $u, scopes: ["user:all"], note: "e2e") {id token}}`, map[string]any{"u": me.CurrentUser.ID}, "Cookie", cookie)
	require.NotEmpty(a.t, made.CreateAccessToken.Token)
	a.token = made.CreateAccessToken.Token
}

// whoami is the user behind the token.
func (a *appliance) whoami() string {
	a.t.Helper()
	var me struct{ CurrentUser struct{ Username string } }
	a.graphql(&me, `{currentUser{username}}`, nil)
	return me.CurrentUser.Username
}

// add adds repositories by URL, without waiting for them.
func (a *appliance) add(urls ...string) {
	a.t.Helper()
	config, err := json.Marshal(map[string]any{"repos": urls})
	require.NoError(a.t, err)
	a.graphql(nil, `mutation($c: String!) {addExternalService(input: {kind: OTHER, displayName: "e2e", config: $c}) {id}}`, map[string]any{"c": string(config)})
}

// mirror is what the product says of a repository.
type mirror struct {
	Name       string
	MirrorInfo struct {
		Cloned    bool
		LastError *string
	}
}

func (a *appliance) mirrors() []mirror {
	a.t.Helper()
	var d struct{ Repositories struct{ Nodes []mirror } }
	a.graphql(&d, `{repositories(first: 100) {nodes {name mirrorInfo {cloned lastError}}}}`, nil)
	return d.Repositories.Nodes
}

// cloned waits until that many repositories are.
func (a *appliance) cloned(n int) {
	a.t.Helper()
	var got []mirror
	require.True(a.t, a.eventually(func() bool {
		got = a.mirrors()
		count := 0
		for _, m := range got {
			if m.MirrorInfo.Cloned {
				count++
			}
		}
		return count == n
	}), "cloned: %+v", &got)
}

// search streams one search to its end and counts its matches.
func (a *appliance) search(ctx context.Context, client *http.Client, query string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", a.url("/.api/search/stream?v=V3&q="+url.QueryEscape(query)), nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "token "+a.token)
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, fmt.Errorf("after %d bytes: %w", len(body), err)
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %.200s", resp.Status, body)
	}
	return matchesOf(string(body))
}

var errUnfinished = errors.New("the stream has no done event")

// partial is a search that says that it left something out: its count is honest, and need not be the whole.
type partial struct{ why string }

// alert is a search that says what is wrong with it instead of giving a count that could be taken for the whole.
type alert string

func (a alert) Error() string { return string(a) }

func (p *partial) Error() string { return "not everything was searched: " + p.why }

// leftOut is what a progress event says was not searched; empty for nothing.
func leftOut(progress string) (string, error) {
	var p struct {
		Skipped []struct{ Reason, Title string }
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(progress, "data: ")), &p); err != nil || len(p.Skipped) == 0 {
		return "", err
	}
	return p.Skipped[0].Reason + ": " + p.Skipped[0].Title, nil
}

// judge holds the outcome of a search against the count that is right. Less than that is an error of its own when the search said so itself.
func judge(got, want int, err error) error {
	var p *partial
	switch {
	case errors.As(err, &p) && got == want:
		return nil
	case err == nil && got != want:
		return fmt.Errorf("%d matches, want %d", got, want)
	}
	return err
}

// matchesOf counts the matches of a stream that must have ended well.
func matchesOf(stream string) (matches int, err error) {
	done, left := false, ""
	for _, block := range strings.Split(strings.TrimSpace(stream), "\n\n") {
		name, data, _ := strings.Cut(block, "\n")
		done = name == "event: done"
		switch name {
		case "event: alert", "event: error":
			return 0, alert(block)
		case "event: progress":
			if left, err = leftOut(data); err != nil {
				return 0, err
			}
		case "event: matches":
			var list []struct {
				LineMatches []struct{ OffsetAndLengths [][2]int }
			}
			if err := json.Unmarshal([]byte(strings.TrimPrefix(data, "data: ")), &list); err != nil {
				return 0, err
			}
			for _, m := range list {
				for _, l := range m.LineMatches {
					matches += len(l.OffsetAndLengths)
				}
			}
		}
	}
	if !done {
		return matches, errUnfinished
	}
	if left != "" {
		return matches, &partial{left}
	}
	return matches, nil
}

// finds says why a search does not give that many matches; nil when it does.
func (a *appliance) finds(query string, want int) error {
	ctx, cancel := context.WithTimeout(context.Background(), enough)
	defer cancel()
	got, err := a.search(ctx, http.DefaultClient, query)
	return judge(got, want, err)
}

// answers waits until a search gives exactly so many matches.
func (a *appliance) answers(query string, want int) {
	a.t.Helper()
	var err error
	require.True(a.t, a.eventually(func() bool { err = a.finds(query, want); return err == nil }), "%s: %v", query, &err)
}

// repository makes one that gitserver's user may read, of pairs of path and content, and gives its URL.
func (a *appliance) repository(name string, pairs ...string) string {
	a.t.Helper()
	dir := filepath.Join(a.src(), name)
	require.NoError(a.t, os.MkdirAll(dir, 0o755))
	git(a.t, dir, "init", "-q", "-b", "main")
	for i := 0; i < len(pairs); i += 2 {
		file := filepath.Join(dir, pairs[i])
		require.NoError(a.t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(a.t, os.WriteFile(file, []byte(pairs[i+1]), 0o644))
	}
	if len(pairs) > 0 {
		git(a.t, dir, "add", "-A")
		git(a.t, dir, "commit", "-q", "-m", "files")
	}
	require.NoError(a.t, exec.Command("chmod", "-R", "a+rX", dir).Run())
	return (&url.URL{Scheme: "file", Path: dir}).String()
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, out)
	return string(out)
}

// grep counts occurrences as git does.
func grep(t *testing.T, dir, text string) int {
	t.Helper()
	return strings.Count(git(t, dir, "grep", "-o", "-F", "-i", text, "HEAD"), "\n")
}

// stocked is a running appliance with an administrator and two repositories; it gives the exact count of "needle".
func stocked(t *testing.T) (a *appliance, needles int) {
	t.Helper()
	a = install(t)
	return a, a.stock()
}

// stock starts it and gives it an administrator and two repositories.
func (a *appliance) stock() (needles int) {
	a.t.Helper()
	a.up()
	return a.stockRunning()
}

func (a *appliance) stockRunning() (needles int) {
	a.t.Helper()
	a.administrator()
	var files []string
	for i := range 40 {
		files = append(files, fmt.Sprintf("dir%d/file%d.go", i%7, i), strings.Repeat(fmt.Sprintf("func f%d() { needle(); Needle() }\n", i), i%5))
	}
	a.add(a.repository("one", files...), a.repository("two", "README.md", "# needle\n\nneedle Needle NEEDLE\n", "bin", "needle\x00\xff"))
	a.cloned(2)
	needles = grep(a.t, a.src()+"/one", "needle") + 4
	a.answers("needle count:all", needles)
	return needles
}

// get asks as nobody.
func (a *appliance) get(path string) (int, string) {
	a.t.Helper()
	resp, err := http.Get(a.url(path))
	require.NoError(a.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(a.t, err)
	return resp.StatusCode, string(body)
}
