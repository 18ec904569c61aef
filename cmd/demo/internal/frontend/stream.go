package frontend

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sourcegraph/appliance/cmd/demo/internal/query"
	"github.com/sourcegraph/appliance/cmd/demo/internal/search"
)

// flushEvery is how long a match waits for company before it is sent. The first does not wait.
const flushEvery = 50 * time.Millisecond

// stream answers GET /.api/search/stream?q=…&v=V3&t=standard&display=N with server-sent events: matches, progress, alert, done.
func (s *server) stream(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	display, err := strconv.Atoi(values.Get("display"))
	if values.Get("display") == "" {
		display, err = -1, nil
	}
	if err != nil {
		http.Error(w, fmt.Sprintf("display=%q: want a number, -1 for all", values.Get("display")), http.StatusBadRequest)
		return
	}
	pattern := values.Get("t")
	if pattern == "" && values.Get("v") == "V1" {
		pattern = "regexp"
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	e := &events{w: w, flusher: http.NewResponseController(w), display: display}
	stop := e.tick(flushEvery)
	defer stop()
	q, err := parse(values.Get("q"), pattern)
	var p search.Progress
	if err == nil {
		p, err = s.engine.Search(r.Context(), q, e.match, e.progress)
	}
	if r.Context().Err() != nil {
		return
	}
	e.end(s.explain(r, err, p), p)
}

// explain turns what is wrong into an alert; trouble of ours keeps its details to the log.
func (s *server) explain(r *http.Request, err error, p search.Progress) *alertResolver {
	a := alertFor(err, p)
	if a == nil && err != nil {
		s.log.Error("search", "path", r.URL.Path, "error", err)
		a = &alertResolver{"The search failed", "A service that it needs is away; try again in a moment."}
	}
	return a
}

// events writes one stream. A client that is gone ends the search by its context, so errors of writing need no handling.
type events struct {
	w       http.ResponseWriter
	flusher *http.ResponseController
	display int // matches still to send, below 0 for all

	mu      sync.Mutex
	pending []any
	sent    bool // something went out
	last    search.Progress
	changed bool // last was not sent yet
}

func (e *events) tick(every time.Duration) (stop func()) {
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		t := time.NewTicker(every)
		defer t.Stop()
		for {
			select {
			case <-done:
				return
			case <-t.C:
				e.mu.Lock()
				e.flushLocked()
				e.mu.Unlock()
			}
		}
	}()
	return func() { close(done); <-gone }
}

func (e *events) match(m search.Match) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.display == 0 {
		return nil
	}
	if e.display > 0 {
		e.display = max(0, e.display-m.Count())
	}
	e.pending = append(e.pending, wireMatch(m))
	e.last.MatchCount += m.Count() // what progress says never lags behind what was sent
	e.changed = true
	if !e.sent || len(e.pending) >= 100 {
		e.flushLocked()
	}
	return nil
}

func (e *events) progress(p search.Progress) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last, e.changed = p, true
}

func (e *events) flushLocked() {
	if len(e.pending) == 0 && !e.changed {
		return
	}
	if len(e.pending) > 0 {
		e.sendLocked("matches", e.pending)
		e.pending = e.pending[:0]
	}
	if e.changed {
		e.sendLocked("progress", wireProgress(e.last, false))
		e.changed = false
	}
	e.sent = true
	e.flusher.Flush()
}

func (e *events) end(alert *alertResolver, p search.Progress) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changed = false
	e.flushLocked()
	if alert != nil {
		e.sendLocked("alert", map[string]string{"title": alert.title, "description": alert.description})
	}
	e.sendLocked("progress", wireProgress(p, true))
	e.sendLocked("done", struct{}{})
	e.flusher.Flush()
}

func (e *events) sendLocked(name string, data any) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "event: %s\ndata: ", name)
	json.NewEncoder(&b).Encode(data) // our own types; one line, with its end
	b.WriteByte('\n')
	e.w.Write(b.Bytes())
}

type wireLine struct {
	Line             string   `json:"line"`
	LineNumber       int      `json:"lineNumber"`
	OffsetAndLengths [][2]int `json:"offsetAndLengths"`
}

type wireFile struct {
	Type         string     `json:"type"`
	RepositoryID int64      `json:"repositoryID"`
	Repository   string     `json:"repository"`
	Branches     []string   `json:"branches,omitempty"`
	Commit       string     `json:"commit,omitempty"`
	Path         string     `json:"path,omitempty"`
	LineMatches  []wireLine `json:"lineMatches,omitempty"`
	URL          string     `json:"url"` // of the page; the one field that Sourcegraph's stream does not have
}

func wireMatch(m search.Match) wireFile {
	out := wireFile{RepositoryID: m.Repo.ID, Repository: m.Repo.Name, Commit: m.Commit, Path: text(m.Path)}
	if m.Rev != "" {
		out.Branches = []string{m.Rev}
	}
	switch m.Type {
	case query.TypeRepo:
		out.Type, out.URL = "repo", repoURL(m.Repo.Name, "")
	case query.TypePath:
		out.Type, out.URL = "path", blobURL(m.Repo.Name, m.Rev, m.Path)
	default:
		out.Type, out.URL = "content", blobURL(m.Repo.Name, m.Rev, m.Path)
	}
	for _, l := range m.Lines {
		out.LineMatches = append(out.LineMatches, wireLine{text(l.Line), l.Number, l.Ranges})
	}
	return out
}

type wireSkipped struct {
	Reason   string `json:"reason"`
	Title    string `json:"title"`
	Message  string `json:"message"`
	Severity string `json:"severity"`
}

type wireProgressEvent struct {
	Done              bool          `json:"done"`
	RepositoriesCount int           `json:"repositoriesCount"`
	MatchCount        int           `json:"matchCount"`
	DurationMs        int64         `json:"durationMs"`
	Skipped           []wireSkipped `json:"skipped"`
}

func wireProgress(p search.Progress, done bool) wireProgressEvent {
	out := wireProgressEvent{Done: done, RepositoriesCount: p.Searched, MatchCount: p.MatchCount, DurationMs: p.Elapsed.Milliseconds(), Skipped: []wireSkipped{}}
	add := func(is bool, reason, title, message, severity string) {
		if is {
			out.Skipped = append(out.Skipped, wireSkipped{reason, title, message, severity})
		}
	}
	add(p.LimitHit, "shard-match-limit", "result limit hit", "There are more matches; use count:all to see them.", "info")
	add(len(p.Cloning) > 0, "repository-cloning", fmt.Sprintf("%d cloning", len(p.Cloning)), "Not cloned yet: "+names(p.Cloning)+".", "info")
	add(len(p.Missing) > 0, "repository-missing", fmt.Sprintf("%d missing", len(p.Missing)), "Not cloned, or without that revision: "+names(p.Missing)+".", "info")
	add(len(p.TimedOut) > 0, "shard-timeout", fmt.Sprintf("%d timed out", len(p.TimedOut)), "Not searched to the end: "+names(p.TimedOut)+".", "warn")
	add(len(p.Failed) > 0, "error", fmt.Sprintf("%d failed", len(p.Failed)), "Some repositories could not be searched.", "error")
	add(p.SkippedBig > 0, "excluded-large", plural(p.SkippedBig, "large file", "large files"), "Files above 16 MiB are not searched.", "info")
	return out
}
