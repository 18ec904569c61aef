package frontend

import (
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/graph-gophers/graphql-go"
	"github.com/redis/go-redis/v9"

	"github.com/sourcegraph/appliance/cmd/demo/internal/conf"
	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
	"github.com/sourcegraph/appliance/cmd/demo/internal/search"
)

// server is everything that answers requests.
type server struct {
	version   string
	db        *database.DB
	cache     *redis.Client
	store     *redis.Client
	git       *gitserver.Client
	engine    *search.Engine
	config    conf.Config
	log       *slog.Logger
	schema    *graphql.Schema
	templates map[string]*template.Template
}

// public is what users reach, through the front door.
func (s *server) public() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.Handle("GET /-/static/", static())
	mux.HandleFunc("POST /-/site-init", s.siteInit)
	mux.HandleFunc("POST /-/sign-in", s.signIn)
	mux.HandleFunc("POST /-/sign-out", s.signOut)
	mux.HandleFunc("POST /.api/graphql", s.api(s.graphql))
	mux.HandleFunc("GET /.api/search/stream", s.api(s.stream))
	s.pages(mux)
	return secure(s.log, http.NewCrossOriginProtection().Handler(mux))
}

// internal is for the other services: no credentials are asked for, and the database's address is given out.
func (s *server) internal() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+conf.Path, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.config) })
	mux.HandleFunc("GET /healthz", s.healthz)
	return mux
}

// healthz answers 200 with the version when PostgreSQL and both Redis answer, else 503 with what does not.
func (s *server) healthz(w http.ResponseWriter, r *http.Request) {
	for _, check := range []func() error{
		func() error { return s.db.Ping(r.Context()) },
		func() error { return ping(r.Context(), "redis-cache", s.cache) },
		func() error { return ping(r.Context(), "redis-store", s.store) },
	} {
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte(s.version)) // a client that is gone needs no answer
}

// secure sets what every answer carries, and turns a panic of one request into its 500.
func secure(log *slog.Logger, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				log.Error("panic in a request", "path", r.URL.Path, "panic", p)
				http.Error(w, "internal error", http.StatusInternalServerError)
			}
		}()
		h.ServeHTTP(w, r)
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // a client that is gone needs no answer
}
