package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// rosterVersion is the family with the most services of its own.
const rosterVersion = "3.38.0"

// rosterFigure starts a whole Sourcegraph on stand-ins, on a data directory that has seen one start, and compares the time until all are
// ready with the longest chain of needs, each service at its own pace.
func rosterFigure(b *bench) ([]row, error) {
	dir, err := b.place("roster")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	release, err := b.standIns(dir)
	if err != nil {
		return nil, err
	}
	needs, err := b.needs()
	if err != nil {
		return nil, err
	}
	whole, chain, ratio := newSamples(), newSamples(), newSamples()
	for n := range 1 + min(b.rounds, 3) {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		argv := []string{b.program, "--data", filepath.Join(dir, "data"), "--config", filepath.Join(dir, "appliance.yaml"), "run", "--release", release,
			"--listen", fmt.Sprintf("127.0.0.1:%d", port)}
		total, slowest, err := b.startRoster(dir, argv, needs)
		if err != nil {
			return nil, err
		}
		if n > 0 { // the first makes the cluster of PostgreSQL and installs the release
			whole.add(us, total.Seconds())
			chain.add(us, slowest.Seconds())
			ratio.add(us, total.Seconds()/slowest.Seconds())
		}
	}
	return []row{{title: "exec → all ready, the whole roster of " + rosterVersion + " on stand-ins, over its slowest chain", unit: "×", cells: ratio.cells(0.5), atMost: true,
		limit: 1.5, target: "≤ 1.5", remark: fmt.Sprintf("%.2f s over %.2f s", whole.median(us), chain.median(us))}}, nil
}

// standIns makes a release of the tests' stand-ins.
func (b *bench) standIns(dir string) (string, error) {
	program, release := filepath.Join(dir, "standin"), filepath.Join(dir, "release")
	build := exec.Command(b.goTool, "build", "-o", program, "./cmd/standin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the stand-ins: %w: %s", err, out)
	}
	names, err := exec.Command(program).Output()
	if err != nil {
		return "", fmt.Errorf("ask the stand-ins for their names: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(release, "bin"), 0o755); err != nil {
		return "", err
	}
	for _, name := range strings.Fields(string(names)) {
		if err := os.Link(program, filepath.Join(release, "bin", name)); err != nil {
			return "", err
		}
	}
	manifest := fmt.Sprintf(`{"schema": 1, "product": "sourcegraph", "version": %q, "arch": %q}`, rosterVersion, runtime.GOARCH)
	return release, os.WriteFile(filepath.Join(release, "manifest.json"), []byte(manifest), 0o644)
}

// needs is what each service of the version waits for.
func (b *bench) needs() (map[string][]string, error) {
	text, err := exec.Command(b.program, "services", "graph", "--release-version", rosterVersion, "--json").Output()
	if err != nil {
		return nil, fmt.Errorf("ask what needs what: %w", err)
	}
	var needs map[string][]string
	return needs, json.Unmarshal(text, &needs)
}

func (b *bench) startRoster(dir string, argv []string, needs map[string][]string) (total, slowest time.Duration, err error) {
	began := time.Now()
	r, err := start(contestant{name: us, stop: syscall.SIGTERM}, dir, argv)
	if err != nil {
		return 0, 0, err
	}
	defer r.stop()
	if err := until("a ready appliance", 100*time.Millisecond, func() bool {
		return exec.Command(b.program, "--data", filepath.Join(dir, "data"), "wait", "--timeout", "1s").Run() == nil
	}); err != nil {
		return 0, 0, fmt.Errorf("%w: %s", err, r.lastWords())
	}
	text, err := exec.Command(b.program, "--data", filepath.Join(dir, "data"), "events", "--json", "--since", began.UTC().Format(time.RFC3339Nano)).Output()
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the events: %w", err)
	}
	starting, ready := map[string]time.Time{}, map[string]time.Time{}
	for d := json.NewDecoder(strings.NewReader(string(text))); ; {
		var e api.Event
		if err := d.Decode(&e); err == io.EOF {
			break
		} else if err != nil {
			return 0, 0, err
		}
		switch e.To {
		case api.Starting:
			starting[e.Service] = e.At.Time
		case api.Ready:
			ready[e.Service] = e.At.Time
			total = max(total, e.At.Sub(began))
		}
	}
	var chain func(string) time.Duration
	chain = func(name string) (longest time.Duration) {
		for _, need := range needs[name] {
			longest = max(longest, chain(need))
		}
		return longest + ready[name].Sub(starting[name])
	}
	for name := range ready {
		slowest = max(slowest, chain(name))
	}
	return total, slowest, nil
}
