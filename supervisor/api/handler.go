package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// handler answers the admin API.
type handler struct {
	life    context.Context // ends with the supervisor
	backend Backend
	readers int // group that may read; -1: none
	streams chan struct{}
}

func newHandler(life context.Context, b Backend, extra map[string]http.Handler, readers int) http.Handler {
	h := &handler{life: life, backend: b, readers: readers, streams: make(chan struct{}, maxStreams)}
	mux := http.NewServeMux()
	mux.Handle("GET /v1/status", h.reads(h.status))
	mux.Handle("GET /v1/why", h.reads(h.why))
	mux.Handle("GET /v1/events", h.reads(h.events))
	mux.Handle("GET /v1/logs", h.reads(h.logs))
	mux.Handle("GET /v1/config", h.reads(h.config))
	mux.Handle("POST /v1/start", h.changes(operation(b.Start)))
	mux.Handle("POST /v1/stop", h.changes(operation(b.Stop)))
	mux.Handle("POST /v1/restart", h.changes(operation(b.Restart)))
	mux.Handle("POST /v1/reload", h.changes(h.reload))
	mux.Handle("POST /v1/diff", h.changes(h.diff))
	mux.Handle("POST /v1/shutdown", h.changes(h.shutdown))
	mux.Handle("POST /v1/exec-spec", h.changes(h.execSpec))
	for path, x := range extra {
		mux.Handle("GET "+path, h.reads(x.ServeHTTP))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, &Error{
			Code: codeUsage, Message: "there is no " + r.Method + " " + r.URL.Path, Remedy: "the command line and the appliance may be of different versions: sourcegraph version",
		})
	})
	return mux
}

func (h *handler) reads(f http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := callerFrom(r); !c.mayRead(h.readers) {
			answerError(w, refusal(c, "read the appliance's state"))
			return
		}
		bound(w)
		f(w, r)
	})
}

func (h *handler) changes(f http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := callerFrom(r); !c.mayAll() {
			answerError(w, refusal(c, strings.TrimPrefix(r.URL.Path, "/v1/")))
			return
		}
		f(w, r)
	})
}

func refusal(c caller, what string) *Error {
	who := "a caller that the kernel does not name"
	if c.known {
		who = "uid " + strconv.Itoa(c.uid)
	}
	return &Error{Code: codeRefused, Message: who + " may not " + what, Remedy: "use sudo, or the appliance's own user; members of the group " + Group + " may read"}
}

func (h *handler) status(w http.ResponseWriter, r *http.Request) {
	st, err := h.backend.Status(r.Context(), r.URL.Query()["service"])
	if err != nil {
		answerError(w, err)
		return
	}
	if !callerFrom(r).mayAll() {
		st.Appliance.SetupURL = "" // it makes its bearer the first administrator
	}
	answer(w, http.StatusOK, st)
}

func (h *handler) why(w http.ResponseWriter, r *http.Request) {
	chain, err := h.backend.Why(r.Context(), r.URL.Query().Get("service"))
	reply(w, chain, err)
}

func (h *handler) config(w http.ResponseWriter, r *http.Request) {
	conf, err := h.backend.Config(r.Context())
	reply(w, conf, err)
}

func (h *handler) reload(w http.ResponseWriter, r *http.Request) {
	change, err := h.backend.Reload(r.Context(), peer(r))
	reply(w, change, err)
}

// diff changes nothing, but reads whatever file it is told to.
func (h *handler) diff(w http.ResponseWriter, r *http.Request) {
	change, err := h.backend.Diff(r.Context(), r.URL.Query().Get("file"))
	reply(w, change, err)
}

func (h *handler) execSpec(w http.ResponseWriter, r *http.Request) {
	spec, err := h.backend.ExecSpec(r.Context(), peer(r), r.URL.Query().Get("service"))
	reply(w, spec, err)
}

// shutdown answers, then acts: what it stops includes who answers.
func (h *handler) shutdown(w http.ResponseWriter, r *http.Request) {
	who := peer(r)
	answer(w, http.StatusAccepted, struct {
		Accepted bool `json:"accepted"`
	}{true})
	_ = http.NewResponseController(w).Flush() // the order stands, even if the caller is gone
	_ = h.backend.Shutdown(context.WithoutCancel(r.Context()), who)
}

// operation waits for the end. The request's context ends the waiting alone: a Backend has begun by then.
func operation(do func(context.Context, Peer, []string) (Operation, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		op, err := do(r.Context(), peer(r), r.URL.Query()["service"])
		reply(w, op, err)
	}
}

func reply(w http.ResponseWriter, value any, err error) {
	if err != nil {
		answerError(w, err)
		return
	}
	answer(w, http.StatusOK, value)
}

// span is the part of a query that events and logs share.
type span struct {
	services     []string
	since, until time.Time
	limit        int
	follow       bool
}

func spanOf(q url.Values) (s span, err error) {
	s.services = q["service"]
	if s.since, err = timeOf(q, "since"); err != nil {
		return s, err
	}
	if s.until, err = timeOf(q, "until"); err != nil {
		return s, err
	}
	if text := q.Get("limit"); text != "" {
		if s.limit, err = strconv.Atoi(text); err != nil || s.limit < 0 {
			return s, &Error{Code: codeUsage, Message: "limit " + strconv.Quote(text) + " is no number of lines"}
		}
	}
	if text := q.Get("follow"); text != "" {
		if s.follow, err = strconv.ParseBool(text); err != nil {
			return s, &Error{Code: codeUsage, Message: "follow " + strconv.Quote(text) + " is neither true nor false"}
		}
	}
	return s, nil
}

func timeOf(q url.Values, key string) (time.Time, error) {
	text := q.Get(key)
	if text == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return at, &Error{Code: codeUsage, Message: key + " " + strconv.Quote(text) + " is no time", Remedy: "write it as 2006-01-02T15:04:05Z"}
	}
	return at, nil
}
