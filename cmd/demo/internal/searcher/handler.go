package searcher

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
)

const requestMax = 1 << 20 // bytes of a request

// Handler serves /healthz at once and searches once configured is closed.
func Handler(s *Searcher, configured <-chan struct{}, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("POST /search", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-configured:
			serveSearch(s, w, r, log)
		case <-r.Context().Done():
		}
	})
	return mux
}

func serveSearch(s *Searcher, w http.ResponseWriter, r *http.Request, log *slog.Logger) {
	out := newEvents(w)
	var req Request
	if err := json.NewDecoder(io.LimitReader(r.Body, requestMax)).Decode(&req); err != nil {
		out.fail(&Error{Code: ErrBadRequest, Text: "read the request: " + err.Error()})
		return
	}
	summary, err := s.Search(r.Context(), req, func(m FileMatch) error {
		return out.send(event{Match: &wireMatch{Path: []byte(m.Path), Lines: m.Lines}})
	}, out.flush)
	switch {
	case err == nil:
		if out.send(event{Done: &summary}) == nil {
			out.flush()
		}
	case r.Context().Err() != nil: // nobody is there to be told
	default:
		log.Info("search", "repo", req.Repo, "commit", req.Commit, "error", err)
		out.fail(err)
	}
}

// events writes the answer, one object a line. Nothing goes out before the first one, so that an early failure has a status.
type events struct {
	w     http.ResponseWriter
	buf   *bufio.Writer
	enc   *json.Encoder
	begun bool
}

func newEvents(w http.ResponseWriter) *events {
	buf := bufio.NewWriterSize(w, 32<<10)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	return &events{w: w, buf: buf, enc: enc}
}

func (e *events) send(ev event) error {
	if !e.begun {
		e.begun = true
		e.w.Header().Set("Content-Type", "application/x-ndjson")
		e.w.WriteHeader(http.StatusOK)
	}
	return e.enc.Encode(ev)
}

// flush sends what is buffered. A client that went is met at the next write, and by the request's context.
func (e *events) flush() {
	if e.buf.Buffered() > 0 && e.buf.Flush() == nil {
		_ = http.NewResponseController(e.w).Flush()
	}
}

func (e *events) fail(err error) {
	f := toFailure(err)
	if !e.begun {
		e.begun = true
		e.w.Header().Set("Content-Type", "application/x-ndjson")
		e.w.WriteHeader(f.status())
	}
	if e.enc.Encode(event{Failed: f}) == nil {
		e.flush()
	}
}
