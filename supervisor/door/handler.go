package door

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"time"
)

// handler is the policy for every request that net/http serves.
type handler struct {
	door  *door
	proxy *httputil.ReverseProxy
}

type clientKey struct{}

// withClient lets peerOf find the connection of a request.
func withClient(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, clientKey{}, clientOf(c))
}

func peerOf(r *http.Request) peer {
	if c, _ := r.Context().Value(clientKey{}).(*client); c != nil {
		return c.peer
	}
	return peer{}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d, v, begun := h.door, h.door.view.Load(), time.Now()
	rec := &recorder{ResponseWriter: w, status: http.StatusOK, door: d}
	d.stats.inFlight.Add(1)
	defer func() {
		d.stats.inFlight.Add(-1)
		d.stats.observe(v.modeIndex, rec.status, time.Since(begun))
		if v.SetupToken != "" && makesAdmin(r) && rec.wrote && rec.status/100 == 2 { // none of our own answers to it is 2xx
			d.stats.setupDone.Store(true)
		}
	}()
	h.serve(rec, r, v)
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request, v *view) {
	switch {
	case r.Method == http.MethodConnect:
		answerPlain(w, http.StatusMethodNotAllowed, "CONNECT is not offered here")
	case ownPath([]byte(r.URL.Path)):
		h.door.serveOwn(w, r, v)
	case h.door.answersChallenge(w, r):
	case h.sendHome(w, r, v):
	case v.SetupToken != "" && makesAdmin(r) && !carriesToken(r, v):
		refuseSetup(w, r)
	case v.Mode == Progress || v.Mode == Maintenance:
		h.door.unavailable(w, r, http.StatusServiceUnavailable, "")
	case v.Limits.MaxBody > 0 && r.ContentLength > v.Limits.MaxBody:
		answerPlain(w, http.StatusRequestEntityTooLarge, "the body of the request is too large")
	default:
		r.Body = h.watchBody(w, r, v)
		h.proxy.ServeHTTP(w, r)
	}
}

// watchBody bounds a body in length, and in the time that it may make no progress.
func (h *handler) watchBody(w http.ResponseWriter, r *http.Request, v *view) io.ReadCloser {
	if r.Body == nil || r.Body == http.NoBody {
		return r.Body
	}
	b := r.Body
	if v.Limits.MaxBody > 0 {
		b = http.MaxBytesReader(w, b, v.Limits.MaxBody)
	}
	return &patient{ReadCloser: b, control: http.NewResponseController(w), patience: v.Limits.IdleTimeout}
}

// patient gives up on a body that makes no progress.
type patient struct {
	io.ReadCloser
	control  *http.ResponseController
	patience time.Duration
	until    time.Time
}

func (p *patient) Read(b []byte) (int, error) {
	if now := time.Now(); p.until.Sub(now) < p.patience-time.Second {
		p.until = now.Add(p.patience)
		_ = p.control.SetReadDeadline(p.until) // not on an upgraded connection, which has no body
	}
	n, err := p.ReadCloser.Read(b)
	if err != nil {
		_ = p.control.SetReadDeadline(time.Time{}) // an answer may take longer than the next byte of a body
	}
	return n, err
}

// recorder notes what was answered. Flush finds the real writer through Unwrap.
type recorder struct {
	http.ResponseWriter
	status int
	wrote  bool
	door   *door
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Hijack is how an upgrade is answered; the 101 does not come by here.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil {
		r.status, r.wrote = http.StatusSwitchingProtocols, true
	}
	return c, rw, err
}

func (r *recorder) WriteHeader(status int) {
	switch status {
	case statusClientGone:
		r.status, r.wrote = status, true
		return
	case http.StatusContinue: // net/http sends it by itself when the body is read, which is after the backend's
		return
	}
	if !r.wrote && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status, r.wrote = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.wrote = true
	n, err := r.ResponseWriter.Write(p)
	r.door.stats.bytesOut.Add(int64(n))
	return n, err
}
