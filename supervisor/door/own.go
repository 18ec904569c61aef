package door

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const ownPrefix = "/-/appliance/"

func ownPath(target []byte) bool { return bytes.HasPrefix(target, []byte(ownPrefix)) }

// Status is the document of /-/appliance/status: public, without secrets. Fields are only ever added.
type Status struct {
	Schema    int       `json:"schema"` // 1
	Product   string    `json:"product"`
	Version   string    `json:"version"`
	Release   string    `json:"release"`
	Mode      Mode      `json:"mode"` // hold also when the door holds requests by itself
	Ready     bool      `json:"ready"`
	Alive     bool      `json:"alive"` // the supervisor was heard of in time
	Since     string    `json:"since"`
	Remaining int       `json:"remaining_seconds"` // 0: not known
	Message   string    `json:"message"`
	Services  []Service `json:"services"`
}

func (d *door) status(v *view) Status {
	s := Status{
		Schema: 1, Product: v.Product, Version: v.Version, Release: v.Release, Mode: v.Mode, Ready: v.Ready, Alive: d.alive(v),
		Remaining: int(v.Remaining.Round(time.Second).Seconds()), Message: v.Message, Services: v.Services,
	}
	if !v.Since.IsZero() {
		s.Since = v.Since.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	if s.Services == nil {
		s.Services = []Service{}
	}
	if v.Mode == Proxy && d.hold.suspect.Load() {
		s.Mode = Hold
	}
	return s
}

// lookAgain finds out that the backend is back when no request waits for it: else a page that only asks for the status would never turn.
func (d *door) lookAgain(v *view) {
	if v.Mode != Proxy || !d.hold.suspect.Load() {
		return
	}
	if u, err := v.backend.dial(); err == nil {
		v.backend.give(u, time.Now())
		d.hold.accepted()
	}
}

func (d *door) serveOwn(w http.ResponseWriter, r *http.Request, v *view) {
	w.Header().Set("Cache-Control", "no-store")
	name := strings.TrimPrefix(r.URL.Path, ownPrefix)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		answerPlain(w, http.StatusMethodNotAllowed, "only GET and HEAD are answered here")
		return
	}
	switch name {
	case "healthz":
		if v.Mark != "" {
			w.Header().Set(MarkHeader, v.Mark)
		}
		answerYesNo(w, d.alive(v), "the supervisor lives", "nothing was heard of the supervisor for too long")
	case "readyz":
		answerYesNo(w, v.Ready && d.alive(v), "searches are answered", "searches are not answered now")
	case "status":
		d.lookAgain(v)
		writeJSON(w, http.StatusOK, d.status(v))
	case "setup":
		serveSetup(w, r, v)
	default:
		answerPlain(w, http.StatusNotFound, "there is no such page of the appliance")
	}
}

func answerYesNo(w http.ResponseWriter, yes bool, good, bad string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	text := good
	if !yes {
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusServiceUnavailable)
		text = bad
	}
	_, _ = w.Write([]byte(text + "\n"))
}

// fault is the body of an answer that is no success.
type fault struct {
	Error  string `json:"error"`
	Remedy string `json:"remedy,omitempty"`
}

func writeJSON(w http.ResponseWriter, status int, doc any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc) // the client may have gone
}

func answerPlain(w http.ResponseWriter, status int, reason string) {
	writeJSON(w, status, fault{Error: reason})
}

// plainAnswer is answerPlain for a connection that net/http does not serve.
func plainAnswer(no *refusal) []byte {
	body, _ := json.Marshal(fault{Error: no.reason})
	head := "HTTP/1.1 " + strconv.Itoa(no.status) + " " + http.StatusText(no.status) + "\r\nContent-Type: application/json\r\nConnection: close\r\n"
	if no.status >= 502 {
		head += "Retry-After: 5\r\n"
	}
	return []byte(head + "Content-Length: " + strconv.Itoa(len(body)+1) + "\r\n\r\n" + string(body) + "\n")
}
