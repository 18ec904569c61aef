package api

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"
)

// errorTrailer carries the fault of a stream that has already begun.
const errorTrailer = "Appliance-Error"

func (h *handler) events(w http.ResponseWriter, r *http.Request) {
	s, err := spanOf(r.URL.Query())
	if err != nil {
		answerError(w, err)
		return
	}
	q := EventQuery{Services: s.services, Since: s.since, Until: s.until, Limit: s.limit, Follow: s.follow}
	stream(h, w, r, func(ctx context.Context) iter.Seq2[Event, error] { return h.backend.Events(ctx, q) })
}

func (h *handler) logs(w http.ResponseWriter, r *http.Request) {
	s, err := spanOf(r.URL.Query())
	if err != nil {
		answerError(w, err)
		return
	}
	q := LogQuery{
		Services: s.services, Since: s.since, Until: s.until, Limit: s.limit, Follow: s.follow,
		Grep: r.URL.Query().Get("grep"), Level: r.URL.Query().Get("level"),
	}
	stream(h, w, r, func(ctx context.Context) iter.Seq2[LogLine, error] { return h.backend.Logs(ctx, q) })
}

// stream writes one JSON object a line until the source, the caller or the supervisor ends. Each follower is held by its own goroutine and
// its own cursor; one that takes no bytes for [writeWait] is cut off.
func stream[T any](h *handler, w http.ResponseWriter, r *http.Request, source func(context.Context) iter.Seq2[T, error]) {
	select {
	case h.streams <- struct{}{}:
		defer func() { <-h.streams }()
	default:
		answerError(w, &Error{Code: codeRefused, Message: "too many followers of logs and events", Remedy: "end some of them: each is a process with -f"})
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.life, cancel)()
	out := &lines{w: w, control: http.NewResponseController(w)}
	out.begin(ctx)
	defer out.stop()
	for value, err := range source(ctx) {
		if err != nil && ctx.Err() == nil {
			out.fail(err)
			return
		}
		if err != nil || out.write(value) != nil {
			return
		}
	}
	out.end()
}

// lines writes a stream. What is written goes out at once when the source pauses, and in blocks while it does not.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	dirty   chan struct{} // something waits to be flushed
	lock    chan struct{} // of w
	stop    func()
	began   bool
}

// flushAfter is how long a line may wait for others to go out with.
const flushAfter = 20 * time.Millisecond

// begin starts the flusher.
func (l *lines) begin(ctx context.Context) {
	l.dirty, l.lock = make(chan struct{}, 1), make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.flushes(ctx)
	}()
	l.stop = func() {
		cancel()
		<-ended
	}
}

func (l *lines) flushes(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.dirty:
		}
		timer.Reset(flushAfter)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		l.lock <- struct{}{}
		_ = l.control.SetWriteDeadline(time.Now().Add(writeWait)) // a connection that is gone shows at the next write
		_ = l.control.Flush()
		<-l.lock
	}
}

// head sends the header. The connection ends with the stream, and so does its deadline.
func (l *lines) head() {
	if l.began {
		return
	}
	l.began = true
	l.w.Header().Set("Content-Type", "application/x-ndjson")
	l.w.Header().Set("Trailer", errorTrailer)
	l.w.Header().Set("Connection", "close")
	l.w.WriteHeader(http.StatusOK)
}

func (l *lines) write(value any) error {
	line, err := json.Marshal(value)
	if err != nil {
		return err
	}
	l.lock <- struct{}{}
	defer func() { <-l.lock }()
	l.head()
	if err := l.control.SetWriteDeadline(time.Now().Add(writeWait)); err != nil {
		return err
	}
	if _, err := l.w.Write(append(line, '\n')); err != nil {
		return err
	}
	select {
	case l.dirty <- struct{}{}:
	default:
	}
	return nil
}

// end is for a stream without a line: it has a header, too.
func (l *lines) end() {
	l.lock <- struct{}{}
	defer func() { <-l.lock }()
	l.head()
}

// fail ends the stream with a fault: as the whole answer if it has not begun.
func (l *lines) fail(err error) {
	l.lock <- struct{}{}
	defer func() { <-l.lock }()
	if !l.began {
		answerError(l.w, err)
		l.began = true
		return
	}
	if text, err := json.Marshal(AsError(err)); err == nil {
		l.w.Header().Set(errorTrailer, string(text))
	}
}
