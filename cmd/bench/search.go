package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// searchFigure is what `make run` does after the build, from nothing: PostgreSQL's cluster is made, a repository cloned, a search answered.
func searchFigure(b *bench) ([]row, error) {
	s := newSamples()
	for range min(b.rounds, 3) {
		took, err := b.firstSearch()
		if err != nil {
			return nil, err
		}
		s.add(us, took)
	}
	return []row{{title: "run with everything installed, on an empty data directory → first match of a search", unit: "s", cells: s.cells(0.5), atMost: true, limit: 5, target: "≤ 5 s"}}, nil
}

// firstSearch is in seconds.
func (b *bench) firstSearch() (float64, error) {
	dir, err := b.place("search")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	repo, err := smallRepository(dir)
	if err != nil {
		return 0, err
	}
	config := filepath.Join(dir, "appliance.yaml")
	if err := os.WriteFile(config, []byte(fmt.Sprintf("services:\n  worker:\n    env: {DEMO_REPOS: %q}\n", "file://"+repo)), 0o644); err != nil {
		return 0, err
	}
	port, err := freePort()
	if err != nil {
		return 0, err
	}
	r, err := start(contestant{name: us, stop: syscall.SIGTERM}, dir, []string{b.program, "--data", filepath.Join(dir, "data"), "--config", config,
		"run", "--release", b.release, "--listen", fmt.Sprintf("127.0.0.1:%d", port)})
	if err != nil {
		return 0, err
	}
	defer r.stop()
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	jar, err := cookiejar.New(nil)
	if err != nil {
		return 0, err
	}
	client := &http.Client{Timeout: 10 * time.Second, Jar: jar}
	if err := until("the first administrator", 20*time.Millisecond, func() bool { return signUp(client, base) }); err != nil {
		return 0, fmt.Errorf("%w: %s", err, r.lastWords())
	}
	if err := until("a match", 20*time.Millisecond, func() bool { return matches(client, base) }); err != nil {
		return 0, fmt.Errorf("%w: %s", err, r.lastWords())
	}
	return float64(now()-r.began) / 1e9, nil
}

func smallRepository(dir string) (string, error) {
	repo := filepath.Join(dir, "needles")
	script := `git init -q "$1" && cd "$1" && echo 'a needle in a haystack' >hay.txt && git add . && ` +
		`git -c user.name=bench -c user.email=bench@localhost commit -q -m hay && chmod -R a+rX .`
	if out, err := exec.Command("sh", "-c", script, "sh", repo).CombinedOutput(); err != nil {
		return "", fmt.Errorf("make a repository: %w: %s", err, out)
	}
	return repo, nil
}

func signUp(c *http.Client, base string) bool {
	resp, err := c.Post(base+"/-/site-init", "application/json", strings.NewReader(`{"email":"a@localhost.test","username":"admin","password":"correct horse"}`))
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func matches(c *http.Client, base string) bool {
	resp, err := c.Get(base + "/.api/search/stream?q=needle")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return err == nil && strings.Contains(string(text), "event: matches") && strings.Contains(string(text), "hay.txt")
}
