package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// zoektWebserver answers searches from an index that another process writes.
func zoektWebserver(p *program) {
	if _, err := os.ReadDir(p.flag("index", "")); err != nil {
		p.dies(1, "-index: %v", err)
	}
	p.serve(p.flag("listen", ":6070"), answers("/healthz", "/metrics", "/debug/pprof/"))
	p.untilTold()
}

// zoektIndexserver writes the index: alone, and under a name that the frontend's list has. It has no handler for signals, and what it has started
// runs on when it alone is told to end (observed: 19.7 s).
func zoektIndexserver(p *program) {
	index, name := p.flag("index", ""), p.flag("hostname", os.Getenv("HOSTNAME"))
	p.owns(index)
	owner := filepath.Join(index, "owner.txt")
	if text, err := os.ReadFile(owner); err == nil && string(text) != name {
		p.dies(1, "detected a change of ownership: the index belongs to %s, this is %s", text, name)
	}
	if err := os.WriteFile(owner, []byte(name), 0o600); err != nil {
		p.dies(1, "%v", err)
	}
	p.serve(p.flag("listen", ":6072"), answers("/")) // any path answers 200 (observed)
	url := p.flag("sourcegraph_url", "")
	if !strings.HasPrefix(url, "http://") {
		p.dies(2, "-sourcegraph_url %q is no URL", url)
	}
	for told := false; ; time.Sleep(200 * time.Millisecond) {
		c, err := ask(url + configurationPath)
		if err == nil && !slices.Contains(c.Indexers, name) {
			p.dies(1, "%q is none of the indexed search servers %q: it gets no repositories", name, c.Indexers)
		}
		if err == nil && !told {
			told = true
			indexing := exec.Command("zoekt-git-index")
			indexing.Stderr = os.Stderr
			if err := indexing.Start(); err != nil {
				p.dies(1, "%v", err)
			}
			fmt.Fprintln(os.Stderr, "indexing")
		}
	}
}

// zoektGitIndex is at work for longer than any test runs.
func zoektGitIndex(*program) { time.Sleep(time.Hour) }
