package fault

import "net/http"

// Middleware puts both HTTP faults in front of h: the hang, and wrong answers to everything but health checks.
func (f *Fault) Middleware(h http.Handler) http.Handler {
	if f.wrong {
		h = wrongly(h)
	}
	return f.Hang(h)
}

// Hang puts only the hang in front of h, for a service that knows a subtler way of being wrong (see [Fault.Wrong]).
func (f *Fault) Hang(h http.Handler) http.Handler {
	if f.hung == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-f.hung:
			<-r.Context().Done() // until the client gives up, as a deadlocked handler would
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// wrongly answers 200 with nothing in it: no error that a health check could see, and never the truth.
func wrongly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz", "/ping", "/ready", "/metrics":
			h.ServeHTTP(w, r)
		default:
			w.WriteHeader(http.StatusOK)
		}
	})
}
