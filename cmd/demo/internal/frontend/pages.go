package frontend

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static/*
var staticFiles embed.FS

// static serves style and script; they change with the binary only, and its start is their date.
func static() http.Handler {
	files := http.StripPrefix("/-/", http.FileServerFS(staticFiles))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		files.ServeHTTP(w, r)
	})
}

func newTemplates() (map[string]*template.Template, error) {
	all := map[string]*template.Template{}
	for _, name := range []string{"search", "signin", "init", "repositories", "tokens", "tree", "blob", "message"} {
		t, err := template.New("layout.html").Funcs(functions()).ParseFS(templateFiles, "templates/layout.html", "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("read the page %s: %w", name, err)
		}
		all[name] = t
	}
	return all, nil
}

func functions() template.FuncMap {
	return template.FuncMap{"text": text, "repoURL": repoURL, "blobURL": blobURL, "treeURL": treeURL, "rawURL": rawURL, "size": size, "ago": ago, "add": func(i int) int { return i + 1 }}
}

// view is what every page is made of.
type view struct {
	Version string
	Title   string
	User    database.User // without id for nobody
	Query   string        // in the search box
	Path    string        // of the request
	Error   string        // shown on top
	Data    any           // the page's own
}

// pages adds the pages to mux.
func (s *server) pages(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.page(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/search", http.StatusSeeOther) }))
	mux.HandleFunc("GET /search", s.page(s.searchPage))
	mux.HandleFunc("GET /sign-in", s.signInPage)
	mux.HandleFunc("GET /site-admin/init", s.initPage)
	mux.HandleFunc("GET /repositories", s.page(s.repositoriesPage))
	mux.HandleFunc("POST /repositories/add", s.page(s.addRepository))
	mux.HandleFunc("POST /repositories/remove", s.page(s.removeRepository))
	mux.HandleFunc("GET /user/settings/tokens", s.page(s.tokensPage))
	mux.HandleFunc("POST /user/settings/tokens/new", s.page(s.newTokenPage))
	mux.HandleFunc("POST /user/settings/tokens/delete", s.page(s.deleteToken))
	mux.HandleFunc("GET /{path...}", s.page(s.repositoryPage))
}

// page sends strangers to sign in, or to make the first administrator.
func (s *server) page(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		u, err := s.user(r)
		if errors.Is(err, errAnonymous) {
			s.introduce(w, r)
			return
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		h(w, r.WithContext(context.WithValue(r.Context(), userKey{}, u)))
	}
}

func (s *server) introduce(w http.ResponseWriter, r *http.Request) {
	_, initialized, err := s.db.Site(r.Context())
	switch {
	case err != nil:
		s.fail(w, r, err)
	case !initialized:
		http.Redirect(w, r, "/site-admin/init", http.StatusSeeOther)
	case r.URL.Path == "/" || r.Method != http.MethodGet:
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
	default:
		http.Redirect(w, r, "/sign-in?returnTo="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
	}
}

// render writes a page, whole or not at all.
func (s *server) render(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	v.Version, v.User, v.Path = s.version, userFrom(r.Context()), r.URL.Path
	var b bytes.Buffer
	if err := s.templates[name].Execute(&b, v); err != nil {
		s.log.Error("render", "page", name, "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	b.WriteTo(w) // a client that is gone needs no answer
}

// message is a page that says one thing.
type message struct {
	Text  string
	Retry bool // reload by itself
}

func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		s.log.Error("page", "path", r.URL.Path, "error", err)
	}
	w.Header().Set("Retry-After", "2")
	s.render(w, r, http.StatusServiceUnavailable, "message", view{Title: "One moment", Data: message{"A service that this page needs is away. The page tries again by itself.", true}})
}

func (s *server) notFound(w http.ResponseWriter, r *http.Request, what string) {
	s.render(w, r, http.StatusNotFound, "message", view{Title: "Not found", Data: message{Text: what}})
}

func (s *server) searchPage(w http.ResponseWriter, r *http.Request) {
	any, err := s.anyRepository(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	q := r.URL.Query().Get("q")
	title := "Search"
	if q != "" {
		title = q
	}
	s.render(w, r, http.StatusOK, "search", view{Title: title, Query: q, Data: any})
}

func (s *server) anyRepository(ctx context.Context) (bool, error) {
	repos, err := s.db.Repos(ctx)
	return len(repos) > 0, err
}

func (s *server) signInPage(w http.ResponseWriter, r *http.Request) {
	if _, initialized, err := s.db.Site(r.Context()); err != nil {
		s.fail(w, r, err)
		return
	} else if !initialized {
		http.Redirect(w, r, "/site-admin/init", http.StatusSeeOther)
		return
	}
	s.render(w, r, http.StatusOK, "signin", view{Title: "Sign in", Data: returnTo(r.URL.Query().Get("returnTo"))})
}

// returnTo allows only pages of ours as a place to go to.
func returnTo(target string) string {
	u, err := url.Parse(target)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || strings.ContainsRune(target, '\\') {
		return "/search"
	}
	return target
}

func (s *server) initPage(w http.ResponseWriter, r *http.Request) {
	_, initialized, err := s.db.Site(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if initialized {
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		return
	}
	config, err := s.siteConfig(r.Context())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.render(w, r, http.StatusOK, "init", view{Title: "Welcome", Data: config.MinPasswordLength})
}

// size writes bytes for people.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	value, unit := float64(n), 0
	for value >= 1024 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

// ago writes how long a time is past; nil is never.
func ago(t *time.Time) string {
	if t == nil {
		return "never"
	}
	switch d := time.Since(*t); {
	case d < 2*time.Second:
		return "now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	default:
		return t.UTC().Format("2006-01-02")
	}
}
