package debugserver

import (
	"cmp"
	"context"
	"expvar"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Start listens on SRC_PROF_HTTP and serves until ctx ends. ready is asked at each GET /ready. The wraps go around the whole server, first one outermost.
//
// The error says that the address cannot be had; a second service with the default address meets it.
func Start(ctx context.Context, ready func() bool, wraps ...func(http.Handler) http.Handler) error {
	ln, err := Listen()
	if err != nil {
		return err
	}
	Serve(ctx, ln, ready, wraps...)
	return nil
}

// Listen opens SRC_PROF_HTTP.
func Listen() (net.Listener, error) {
	addr := cmp.Or(os.Getenv("SRC_PROF_HTTP"), ":6060")
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the debug server on SRC_PROF_HTTP=%s: %w", addr, err)
	}
	return ln, nil
}

// Serve serves on ln in the background until ctx ends.
func Serve(ctx context.Context, ln net.Listener, ready func() bool, wraps ...func(http.Handler) http.Handler) {
	h := Handler(ready)
	for i := len(wraps) - 1; i >= 0; i-- {
		h = wraps[i](h)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { srv.Close() })
	go srv.Serve(ln) // ends when ctx does; what it returns then says nothing
}

// Handler is the server without its listener.
func Handler(ready func() bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if !ready() {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
	})
	mux.Handle("GET /metrics", promhttp.Handler())
	mux.Handle("GET /vars", expvar.Handler())
	mux.HandleFunc("POST /gc", func(http.ResponseWriter, *http.Request) { runtime.GC() })
	mux.HandleFunc("POST /freeosmemory", func(http.ResponseWriter, *http.Request) { debug.FreeOSMemory() })
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
