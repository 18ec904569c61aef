package gitserver

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	patience = 5 * time.Second // how long a service may be away: a restart takes a fraction of it
	retryMin = 10 * time.Millisecond
	retryMax = 500 * time.Millisecond
)

// Patient sends a request that may be sent twice, and again for up to 5 s while nobody accepts the connection, or whoever did dies before he answers.
func Patient(ctx context.Context, hc *http.Client, request func() (*http.Request, error)) (*http.Response, error) {
	began, delay := time.Now(), retryMin
	for {
		req, err := request()
		if err != nil {
			return nil, err
		}
		resp, err := hc.Do(req)
		if err == nil || !lost(err) || time.Since(began) > patience {
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

// lost says whether there was no connection, or none any more.
func lost(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial" || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
