package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// goService is one of Sourcegraph's own, beside frontend and migrator.
type goService struct {
	port    string   // a constant, unless addr is set
	addr    string   // the variable that sets host and port
	since   [2]int   // the version from which it reads addr
	paths   []string // answered on the main port
	needs   []string // variables
	owns    string   // variable that names a directory of its own
	silent  bool     // opens no port until the frontend has answered
	late    bool     // its debug port's /ready is 503 until then
	dsn     bool     // takes the database's address from the frontend, and ends when that changes
	more    []string // further ports, all interfaces unless INSECURE_DEV
	check   func(*program, configuration)
	blocked func(*program) // before the main port opens
}

// goServices: health paths, ports and what blocks whom are of observed.md; who reads which variable is of services.md section 4.
func goServices() map[string]goService {
	git := []string{"SRC_GIT_SERVERS"}
	return map[string]goService{
		"gitserver": {
			port: "3178", addr: "GITSERVER_ADDR", paths: []string{"/ping"}, needs: []string{"SRC_REPOS_DIR", "HOSTNAME"}, owns: "SRC_REPOS_DIR",
			silent: true, dsn: true, check: onOwnShard,
		},
		"searcher":     {port: "3181", addr: "SEARCHER_ADDR", since: [2]int{5, 0}, paths: []string{"/healthz"}, needs: append(git, "CACHE_DIR"), owns: "CACHE_DIR", check: hasCtags},
		"repo-updater": {port: "3182", paths: []string{"/healthz"}, needs: append(git, "REDIS_CACHE_ENDPOINT", "REDIS_STORE_ENDPOINT"), late: true, dsn: true},
		"symbols":      {port: "3184", paths: []string{"/healthz"}, needs: append(git, "CACHE_DIR", "CTAGS_COMMAND"), owns: "CACHE_DIR"},
		"github-proxy": {port: "3180"},
		"worker": {
			port: "3189", paths: []string{"/healthz"}, needs: append(git, "SEARCHER_URL", "INDEXED_SEARCH_SERVERS", "REDIS_CACHE_ENDPOINT"),
			silent: true, late: true, dsn: true, more: []string{"6996"},
		},
		"precise-code-intel-worker":   {port: "3188", paths: []string{"/healthz"}, needs: git, dsn: true, blocked: awaitsBucket},
		"syntactic-code-intel-worker": {port: "3288", addr: "SYNTACTIC_CODE_INTEL_WORKER_ADDR", paths: []string{"/healthz"}, needs: append(git, "SCIP_SYNTAX_PATH"), dsn: true, blocked: awaitsBucket},
		"embeddings":                  {port: "9991", paths: []string{"/healthz"}, needs: git, late: true, dsn: true},
	}
}

func (s goService) run(p *program) {
	p.common()
	p.needs("SRC_FRONTEND_INTERNAL")
	p.needs(s.needs...)
	p.knowsNot("PGPASSWORD", "CODEINTEL_PGPASSWORD") // its database's address comes from the frontend
	if s.owns != "" {
		p.owns(os.Getenv(s.owns))
	}
	ready := new(atomic.Bool)
	p.debug(ready)
	first := make(chan configuration, 1)
	go p.follow(first, s.dsn)
	if s.silent || s.dsn {
		s.begin(p, <-first)
	}
	ready.Store(!s.late)
	if s.blocked != nil {
		s.blocked(p)
	}
	p.serve(s.address(p), s.handler(p))
	for _, port := range s.more {
		p.serve(host()+":"+port, answers("/metrics"))
	}
	if s.silent || s.dsn {
		ready.Store(true)
		p.untilTold()
	}
	go p.untilTold()
	s.begin(p, <-first)
	ready.Store(true)
	select {}
}

// begin looks at the first configuration, and connects to the database that it names.
func (s goService) begin(p *program, c configuration) {
	if s.check != nil {
		s.check(p, c)
	}
	if s.dsn {
		p.connect(c.DSN[""])
	}
}

// address is what a variable says where the version reads one; else a constant, on loopback with INSECURE_DEV only.
func (s goService) address(p *program) string {
	if addr := os.Getenv(s.addr); s.addr != "" && addr != "" && p.from(s.since[0], s.since[1]) {
		return addr
	}
	return host() + ":" + s.port
}

func (s goService) handler(p *program) http.Handler {
	if p.name != "github-proxy" {
		return answers(s.paths...)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(os.Stderr, "forwarded to the public API: "+r.URL.Path) // what a probe of this port would do
		w.WriteHeader(http.StatusBadGateway)
	})
}

// host is where a constant port is bound.
func host() string {
	if os.Getenv("INSECURE_DEV") != "" {
		return "127.0.0.1"
	}
	return ""
}

// common is what all of Sourcegraph's services need on one machine. DEPLOY_TYPE: empty means Kubernetes; a time zone that is not UTC gives wrong sessions.
func (p *program) common() {
	p.needs("DEPLOY_TYPE", "SRC_PROF_HTTP", "SRC_LOG_FORMAT", "NO_PROXY")
	if os.Getenv("TZ") != "UTC" || os.Getenv("PGTZ") != "UTC" {
		p.dies(2, "TZ=%q PGTZ=%q, want UTC", os.Getenv("TZ"), os.Getenv("PGTZ"))
	}
	if p.from(5, 0) {
		p.knowsNot("INSECURE_DEV") // no switch for a server with users
	}
	if p.from(4, 0) {
		p.knowsNot("JAEGER_AGENT_HOST")
	} else {
		p.knowsNot("OTEL_EXPORTER_OTLP_ENDPOINT")
	}
}

// debug is the debug server. Its default is :6060 for all, so the second one on a machine ends here (observed).
func (p *program) debug(ready *atomic.Bool) {
	addr := os.Getenv("SRC_PROF_HTTP")
	if addr == "" {
		addr = ":6060"
	}
	mux := answers("/healthz", "/metrics", "/vars")
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if !ready.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	p.serve(addr, mux)
}

// onOwnShard is gitserver's question: a name that no list has makes its janitor delete clones.
func onOwnShard(p *program, c configuration) {
	names := []string{os.Getenv("HOSTNAME")}
	if p.from(5, 0) {
		names = append(names, os.Getenv("GITSERVER_EXTERNAL_ADDR"))
	}
	for _, name := range names {
		if !slices.Contains(c.GitServers, name) {
			p.dies(1, "%q is none of the git servers %q: all clones are on the wrong shard", name, c.GitServers)
		}
	}
}

// hasCtags is what searcher needs since it does symbols' work.
func hasCtags(p *program, _ configuration) {
	if p.from(6, 4) {
		p.needs("CTAGS_COMMAND", "SYMBOLS_CACHE_DIR")
	}
}

// awaitsBucket keeps the main port closed until object storage answers, while /ready says 200 (observed).
func awaitsBucket(p *program) {
	p.needs("PRECISE_CODE_INTEL_UPLOAD_BACKEND", "PRECISE_CODE_INTEL_UPLOAD_AWS_ENDPOINT")
	endpoint := strings.TrimPrefix(os.Getenv("PRECISE_CODE_INTEL_UPLOAD_AWS_ENDPOINT"), "http://")
	for {
		conn, err := net.DialTimeout("tcp", endpoint, time.Second)
		if err == nil {
			conn.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
