package gitserver

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
)

const (
	shardHeader = "X-Gitserver-Shard" // which instance the caller means, as SRC_GIT_SERVERS has it
	requestMax  = 64 << 10            // bytes of a request's body
)

// updateRequest is the body of /repo-update. The URL may hold a password, so it is not in the request's URL.
type updateRequest struct {
	Repo   string `json:"repo"`
	URL    string `json:"url"`
	Holder string `json:"holder,omitempty"` // who fetched it last
}

// wireEntry is an [Entry] for JSON, which has no place for names that are not UTF-8.
type wireEntry struct {
	Path []byte `json:"path"`
	Mode uint32 `json:"mode"`
	Type Type   `json:"type"`
	Size int64  `json:"size"`
}

// Handler serves a store. shard is our own entry in SRC_GIT_SERVERS; callers that mean another one are refused. Empty takes all.
func Handler(s *Store, shard string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "pong\n") })
	mux.HandleFunc("POST /repo-update", answer(s.serveUpdate))
	mux.HandleFunc("POST /delete", answer(s.serveRemove))
	mux.HandleFunc("POST /verify", answer(s.serveVerify))
	mux.HandleFunc("GET /status", answer(s.serveStatus))
	mux.HandleFunc("GET /resolve", answer(s.serveResolve))
	mux.HandleFunc("GET /tree", answer(s.serveTree))
	mux.HandleFunc("GET /file", s.serveFile)
	mux.HandleFunc("GET /archive", s.serveArchive)
	mux.HandleFunc("GET "+gitPath, s.serveRefs)
	mux.HandleFunc("POST "+gitPath, s.servePack)
	return onlyFor(shard, mux)
}

func onlyFor(shard string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if meant := r.Header.Get(shardHeader); shard != "" && meant != "" && meant != shard {
			refuse(w, &Error{Code: ErrWrongShard, Text: "this gitserver is " + shard + ", the caller means " + meant,
				Remedy: "GITSERVER_EXTERNAL_ADDR (or HOSTNAME) of each gitserver must be its entry in SRC_GIT_SERVERS"})
			return
		}
		h.ServeHTTP(w, r)
	})
}

// answer serves what f gives as JSON.
func answer[T any](f func(r *http.Request) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := f(r)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(value) // the client went
	}
}

func refuse(w http.ResponseWriter, err error) {
	e := toError(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Code.Status())
	_ = json.NewEncoder(w).Encode(e)
}

// toError makes sure that what leaves has a code, the whole text, and no credentials.
func toError(err error) *Error {
	var own *Error
	if !errors.As(err, &own) {
		errors.As(classify("gitserver", err), &own)
	}
	return &Error{Code: own.Code, Text: redactURLs(err.Error()), Remedy: own.Remedy}
}

func (s *Store) serveUpdate(r *http.Request) (UpdateResult, error) {
	var req updateRequest
	if err := json.NewDecoder(io.LimitReader(r.Body, requestMax)).Decode(&req); err != nil {
		return UpdateResult{}, invalid("read the request: %v", err)
	}
	return s.Update(r.Context(), req.Repo, req.URL, req.Holder)
}

func (s *Store) serveRemove(r *http.Request) (struct{}, error) {
	return struct{}{}, s.Remove(r.Context(), r.URL.Query().Get("repo"))
}

func (s *Store) serveVerify(r *http.Request) (RepoStatus, error) {
	return s.Verify(r.Context(), r.URL.Query().Get("repo"))
}

func (s *Store) serveStatus(r *http.Request) (RepoStatus, error) {
	return s.Status(r.Context(), r.URL.Query().Get("repo"))
}

func (s *Store) serveResolve(r *http.Request) (string, error) {
	q := r.URL.Query()
	return s.Resolve(r.Context(), q.Get("repo"), q.Get("rev"))
}

func (s *Store) serveTree(r *http.Request) ([]wireEntry, error) {
	q := r.URL.Query()
	entries, err := s.ReadDir(r.Context(), q.Get("repo"), q.Get("commit"), q.Get("path"))
	if err != nil {
		return nil, err
	}
	wire := make([]wireEntry, len(entries))
	for i, e := range entries {
		wire[i] = wireEntry{Path: []byte(e.Path), Mode: e.Mode, Type: e.Type, Size: e.Size}
	}
	return wire, nil
}

func (s *Store) serveFile(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	b, err := s.stat(r.Context(), q.Get("repo"), q.Get("commit"), q.Get("path"))
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(b.size, 10))
	stream(w, "application/octet-stream", func(w io.Writer) error { return s.copyBlob(r.Context(), q.Get("repo"), b, w) })
}

func (s *Store) serveArchive(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	stream(w, "application/x-tar", func(w io.Writer) error { return s.Archive(r.Context(), q.Get("repo"), q.Get("commit"), w) })
}

// stream serves what write writes. A failure before the first byte is an answer with its code; one after it cuts the connection, so that nobody
// takes half of it for the whole.
func stream(w http.ResponseWriter, contentType string, write func(io.Writer) error) {
	late := &lateWriter{w: w, contentType: contentType}
	err := write(late)
	switch {
	case err != nil && late.begun:
		panic(http.ErrAbortHandler)
	case err != nil:
		w.Header().Del("Content-Length")
		refuse(w, err)
	case !late.begun:
		late.begin()
	}
}

// lateWriter sends the header with the first byte.
type lateWriter struct {
	w           http.ResponseWriter
	contentType string
	begun       bool
}

func (l *lateWriter) begin() {
	l.begun = true
	l.w.Header().Set("Content-Type", l.contentType)
	l.w.WriteHeader(http.StatusOK)
}

func (l *lateWriter) Write(p []byte) (int, error) {
	if !l.begun {
		l.begin()
	}
	return l.w.Write(p)
}
