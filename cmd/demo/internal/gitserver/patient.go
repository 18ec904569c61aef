package gitserver

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

const (
	patience = 5 * time.Second // how long a service may be away: a restart takes a fraction of it
	retryMin = 10 * time.Millisecond
	retryMax = 500 * time.Millisecond
)

// Patient sends a request, and again for up to 5 s while nobody accepts the connection. A request that reached somebody is never sent twice.
func Patient(ctx context.Context, hc *http.Client, request func() (*http.Request, error)) (*http.Response, error) {
	began, delay := time.Now(), retryMin
	for {
		req, err := request()
		if err != nil {
			return nil, err
		}
		resp, err := hc.Do(req)
		if err == nil || !refused(err) || time.Since(began) > patience {
			return resp, err
		}
		t := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, err
		case <-t.C:
		}
		delay = min(2*delay, retryMax)
	}
}

// refused says whether there was no connection at all.
func refused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
