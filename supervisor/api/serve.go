package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// Bounds of the admin server: a caller that dawdles costs a descriptor, and no more than that for long.
const (
	headerWait = 5 * time.Second
	idleWait   = 30 * time.Second
	maxHeader  = 64 << 10
	// closeGrace is what operations in flight get for their answers when the supervisor ends.
	closeGrace = time.Second
	// writeWait is how long a follower may take for one write: then it is cut off, and its descriptor freed (E50).
	writeWait = 30 * time.Second
	// maxStreams is how many followers there may be at a time.
	maxStreams = 64
)

// Serve answers on l until ctx ends; then streams end at once and operations get [closeGrace] to answer. It closes l.
//
// The handlers in extra are for who may read, by path ("/metrics").
func Serve(ctx context.Context, l net.Listener, b Backend, extra map[string]http.Handler) error {
	srv := &http.Server{
		Handler: newHandler(ctx, b, extra, readersOf(l.Addr().String())), ConnContext: withCaller,
		ReadHeaderTimeout: headerWait, IdleTimeout: idleWait, MaxHeaderBytes: maxHeader,
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return errors.Join(err, srv.Close())
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	var err error
	if srv.Shutdown(grace) != nil {
		err = srv.Close() // grace is over
	}
	<-ended
	return err
}
