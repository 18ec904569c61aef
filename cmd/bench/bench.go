package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// bench is what all figures share.
type bench struct {
	options
	dir    string // below it everything is made; removed at the end
	tiny   string
	floor  string
	self   string
	stamps *stamps
	made   int
}

func newBench(o options) (*bench, error) {
	dir, err := os.MkdirTemp("/tmp", "bench-") // short: paths of sockets are
	if err != nil {
		return nil, err
	}
	b := &bench{options: o, dir: dir, tiny: filepath.Join(dir, "tiny"), floor: filepath.Join(dir, "floor")}
	if err := b.prepare(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return b, nil
}

func (b *bench) prepare() error {
	if err := os.Chmod(b.dir, 0o755); err != nil { // services have users of their own
		return err
	}
	var err error
	if b.program, err = filepath.Abs(b.program); err != nil {
		return err
	}
	if _, err := os.Stat(b.program); err != nil {
		return fmt.Errorf("%w; build it with: make build", err)
	}
	if b.release, err = filepath.Abs(b.release); err != nil {
		return err
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	for _, name := range []string{"tiny", "floor"} {
		build := exec.Command(b.goTool, "build", "-trimpath", "-ldflags=-s -w", "-o", filepath.Join(b.dir, name), "github.com/sourcegraph/appliance/cmd/bench/"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	b.stamps, err = listenStamps(filepath.Join(b.dir, "stamps"))
	return err
}

func (b *bench) close() {
	b.stamps.close()
	if err := os.RemoveAll(b.dir); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// endOnSignal ends everything below us when a person or a time limit ends the bench.
func (b *bench) endOnSignal() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	<-asked
	for _, p := range descendants(os.Getpid()) {
		if p.lives() {
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
	}
	b.close()
	os.Exit(1)
}

// place is a new directory for a contestant.
func (b *bench) place(who string) (string, error) {
	b.made++
	dir := filepath.Join(b.dir, fmt.Sprintf("%d-%s", b.made, who))
	return dir, os.Mkdir(dir, 0o755)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

const patience = 60 * time.Second

// until polls, for what only shows itself to whoever looks.
func until(what string, every time.Duration, ok func() bool) error {
	for end := time.Now().Add(patience); !ok(); time.Sleep(every) {
		if time.Now().After(end) {
			return fmt.Errorf("%s: not within %s", what, patience)
		}
	}
	return nil
}
