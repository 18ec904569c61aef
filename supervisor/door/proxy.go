package door

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"
)

// resends is how often a request that broke without an answer is sent again: one that makes the frontend crash must not do so for ever.
const resends = 2

var errAway = errors.New("the product is not served now")

// newProxy forwards what the fast path does not: upgrades, streams in both directions, HTTP/2.
func newProxy(d *door) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			v := d.view.Load()
			p := peerOf(r.In)
			r.Out.URL.Scheme = "http"
			r.Out.URL.Host = "backend" // the transport dials the right one
			r.Out.Host = r.In.Host
			r.Out.Trailer = r.In.Trailer // filled in while the body is read, which a copy would miss
			setForwarded(r.Out.Header, r.In.Header, p, v.trusts(p.addr), r.In.Host)
		},
		Transport:     holding{d},
		FlushInterval: -1,
		BufferPool:    &copyBuffers{},
		ErrorLog:      log.New(io.Discard, "", 0), // a client that goes away in the middle is no event
		ErrorHandler:  d.answerError,
	}
}

// copyBuffers lends the buffers in which bodies are copied.
type copyBuffers struct{ pool sync.Pool }

func (b *copyBuffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *copyBuffers) Put(p []byte) { b.pool.Put(&p) }

// holding is a RoundTripper that waits for the backend where the promise of the package says so.
type holding struct{ door *door }

// body watches whether any of a request's body was taken, and keeps a transport that gives up from closing it.
type body struct {
	io.Reader
	read  bool
	bytes *counters
}

func (b *body) Read(p []byte) (int, error) {
	b.read = true
	n, err := b.Reader.Read(p)
	b.bytes.bytesIn.Add(int64(n))
	return n, err
}

func (b *body) Close() error { return nil }

// RoundTrip sends the request to whatever the backend is by then.
func (t holding) RoundTrip(r *http.Request) (*http.Response, error) {
	d, begun := t.door, time.Now()
	var watched *body
	if r.Body != nil && r.Body != http.NoBody {
		watched = &body{Reader: r.Body, bytes: &d.stats}
		r.Body = watched
	}
	var leave func()
	defer func() {
		if leave != nil {
			leave()
		}
	}()
	for sent := 0; ; {
		ticket := d.hold.ticket()
		v := d.view.Load()
		until := begun.Add(v.Limits.HoldFor)
		switch v.Mode {
		case Hold:
		case Proxy:
			resp, err := send(v.backend, r, watched)
			if err == nil {
				d.hold.accepted()
				return resp, nil
			}
			if refused(err) {
				until = d.hold.refused().Add(v.Limits.HoldFor)
			} else if sent++; sent > resends || watched != nil || !safeMethod(r.Method) || r.Context().Err() != nil || isTimeout(err) {
				return nil, err
			} else {
				continue
			}
		default:
			return nil, errAway
		}
		if leave == nil {
			var err error
			if leave, err = d.hold.enter(v.Limits, headSize(r)); err != nil {
				d.stats.heldRefused.Add(1)
				return nil, err
			}
			d.stats.heldTotal.Add(1)
		}
		if v.Mode == Proxy {
			d.hold.probe(v.backend)
		}
		if err := wait(r.Context(), ticket, until); err != nil {
			if errors.Is(err, errHoldOver) {
				d.stats.heldRefused.Add(1)
			}
			return nil, err
		}
	}
}

// send tries once.
func send(b *backend, r *http.Request, watched *body) (*http.Response, error) {
	if watched == nil && safeMethod(r.Method) {
		return b.keep.RoundTrip(r)
	}
	resp, err := b.fresh.RoundTrip(r)
	return resp, err
}

// refused says that no connection was made, so that nothing was sent.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" && !errors.Is(err, context.Canceled)
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// headSize is about what a request's head and its first body bytes take in memory.
func headSize(r *http.Request) int64 {
	n := int64(len(r.RequestURI))
	for name, values := range r.Header {
		for _, v := range values {
			n += int64(len(name) + len(v) + 64)
		}
	}
	return n + min(max(r.ContentLength, 0), 64<<10)
}

// answerError is what a client gets when the backend gave no answer.
func (d *door) answerError(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	switch {
	case r.Context().Err() != nil:
		w.WriteHeader(statusClientGone) // for the count
	case errors.Is(err, errHoldFull), errors.Is(err, errHoldOver), errors.Is(err, errAway), refused(err):
		d.unavailable(w, r, http.StatusServiceUnavailable, err.Error())
	case errors.As(err, &tooLarge):
		answerPlain(w, http.StatusRequestEntityTooLarge, "the body of the request is too large")
	case isTimeout(err):
		d.unavailable(w, r, http.StatusGatewayTimeout, "the frontend did not answer in time")
	default:
		d.unavailable(w, r, http.StatusBadGateway, "the frontend closed the connection without an answer")
	}
}
