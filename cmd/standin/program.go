package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// program is one run of a stand-in.
type program struct {
	name    string
	args    []string
	version string // of the release
}

// releaseVersion is in the manifest above bin/.
func releaseVersion() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(filepath.Dir(self), "..", "manifest.json"))
	var m struct{ Version string }
	if err != nil || json.Unmarshal(text, &m) != nil {
		return ""
	}
	return m.Version
}

// from says whether the release is at least of major.minor.
func (p *program) from(major, minor int) bool {
	var a, b int
	_, _ = fmt.Sscanf(p.version, "%d.%d", &a, &b) // a version that is none is older than all
	return a > major || a == major && b >= minor
}

// dies says why, as the real one would, and ends.
func (p *program) dies(code int, format string, args ...any) {
	fmt.Fprintf(os.Stderr, p.name+": "+format+"\n", args...)
	os.Exit(code)
}

// needs are variables without which the real program does not work, or not on one machine.
func (p *program) needs(names ...string) {
	for _, name := range names {
		switch value := os.Getenv(name); {
		case value == "":
			p.dies(2, "%s is not set", name)
		case strings.Contains(value, "k8s+"):
			p.dies(2, "%s=%s is looked up in a Kubernetes cluster", name, value)
		}
	}
}

// knowsNot are variables that would do harm, or that this version does not have.
func (p *program) knowsNot(names ...string) {
	for _, name := range names {
		if value, set := os.LookupEnv(name); set {
			p.dies(2, "%s=%s is set", name, value)
		}
	}
}

// writes to a directory, as its own.
func (p *program) writes(dir string) {
	f, err := os.CreateTemp(dir, ".standin-*")
	if err != nil {
		p.dies(1, "write to %s: %v", dir, err)
	}
	f.Close()
	os.Remove(f.Name())
}

// owns a directory alone: another process that does is what the real ones cannot tell, and lose data by.
func (p *program) owns(dir string) {
	p.writes(dir)
	f, err := os.OpenFile(filepath.Join(dir, ".standin.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		p.dies(1, "%v", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil { // held to the end of the process
		p.dies(1, "two processes in %s at once", dir)
	}
	held = append(held, f)
}

// held keeps locks from being collected.
var held []*os.File

// listen takes a port, or says who cannot.
func (p *program) listen(addr string) net.Listener {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		p.dies(1, "%v", err)
	}
	return ln
}

// serve answers on a port until the process ends.
func (p *program) serve(addr string, mux http.Handler) {
	ln := p.listen(addr)
	go func() {
		if err := http.Serve(ln, mux); !errors.Is(err, net.ErrClosed) {
			p.dies(1, "serve %s: %v", addr, err)
		}
	}()
}

// answers is a server that says 200 on these paths, and 404 on others.
func answers(paths ...string) *http.ServeMux {
	mux := http.NewServeMux()
	for _, path := range paths {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "standin_up 1") }) // a metric, where one is asked for
	}
	return mux
}

// untilTold waits for TERM, INT or HUP, which end it well. Before it is called they kill, as with the real ones (observed).
func (p *program) untilTold() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	<-told
	os.Exit(0)
}

// flag is the value of -name or --name, in one word or two.
func (p *program) flag(name, otherwise string) string {
	for i, arg := range p.args {
		word := strings.TrimLeft(arg, "-")
		if value, ok := strings.CutPrefix(word, name+"="); ok && word != arg {
			return value
		}
		if word == name && word != arg && i+1 < len(p.args) {
			return p.args[i+1]
		}
	}
	return otherwise
}

// helper is a program that others call.
func helper(*program) {}
