package door

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html
var pageHTML string

//go:embed page.js
var pageJS string

// page is what the one template shows. It is complete without scripts and loads nothing.
type page struct {
	Title    string
	Lead     string
	More     string
	Services []Service
	Live     bool // follows /-/appliance/status and reloads
}

func wantsHTML(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// unavailable answers for a product that cannot answer itself; detail says why, if the State does not.
func (d *door) unavailable(w http.ResponseWriter, r *http.Request, status int, detail string) {
	v := d.view.Load()
	retry := 2
	if v.Mode == Maintenance {
		retry = max(5, min(int(v.Remaining.Seconds()), 600))
	}
	w.Header().Set("Retry-After", strconv.Itoa(retry))
	w.Header().Set("Cache-Control", "no-store")
	if !wantsHTML(r) || r.Method != http.MethodGet && r.Method != http.MethodHead {
		if detail == "" {
			detail = v.Product + " " + verb(v.Mode)
		}
		writeJSON(w, status, struct {
			fault
			Status
		}{fault{Error: detail}, d.status(v)})
		return
	}
	writePage(w, r, status, page{Title: v.Product + " " + verb(v.Mode), Lead: lead(v), More: more(v, detail), Services: v.Services, Live: true})
}

func verb(m Mode) string {
	switch m {
	case Progress:
		return "is starting"
	case Maintenance:
		return "is being looked after"
	}
	return "is away for a moment"
}

func lead(v *view) string {
	if v.Message != "" {
		return v.Message
	}
	if v.Mode == Progress {
		return "This page turns into " + v.Product + " by itself as soon as it answers."
	}
	return "Nothing is lost. This page comes back by itself as soon as " + v.Product + " answers."
}

func more(v *view, detail string) string {
	if v.Remaining > 0 {
		detail = strings.TrimSpace(detail + " About " + aboutHowLong(v.Remaining) + " left.")
	}
	return detail
}

func aboutHowLong(d time.Duration) string {
	if d < 90*time.Second {
		return strconv.Itoa(max(1, int(d.Round(time.Second).Seconds()))) + " seconds"
	}
	return strconv.Itoa(int(d.Round(time.Minute).Minutes())) + " minutes"
}

func writePage(w http.ResponseWriter, _ *http.Request, status int, p page) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	script, refresh := "", ""
	csp := "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; frame-ancestors 'none'"
	if p.Live {
		sum := sha256.Sum256([]byte(pageJS))
		csp += "; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		script = "<script>" + pageJS + "</script>"
		refresh = `<noscript><meta http-equiv="refresh" content="3"></noscript>`
	}
	h.Set("Content-Security-Policy", csp)
	text := strings.NewReplacer(
		"{{refresh}}", refresh, "{{title}}", html.EscapeString(p.Title), "{{lead}}", html.EscapeString(p.Lead), "{{more}}", html.EscapeString(p.More),
		"{{services}}", serviceRows(p.Services), "{{script}}", script,
	).Replace(pageHTML)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client may have gone
}

// serviceRows is what page.js draws, for the first second and for browsers without scripts.
func serviceRows(services []Service) string {
	var b strings.Builder
	for _, s := range services {
		b.WriteString(`<li class="` + html.EscapeString(s.State) + `"><b>` + html.EscapeString(s.Name) + `</b><i>` + html.EscapeString(s.State) + `</i><span>` + html.EscapeString(s.why()) + `</span></li>`)
	}
	return b.String()
}

// why is one line: what it waits for, else the reason.
func (s Service) why() string {
	if len(s.WaitingFor) > 0 {
		return "waits for " + strings.Join(s.WaitingFor, ", ")
	}
	if s.Reason == "" && s.Loss != "" && s.State != "ready" {
		return s.Loss
	}
	return s.Reason
}
