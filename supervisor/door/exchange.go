package door

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// exchange is one simple request on its way through: sent in one write, answered as it comes.
type exchange struct {
	*conn
	up    *upstream
	buf   *scratch
	r, w  int // buf.in[r:w] is read from the backend and not used
	begun time.Time
	sent  int64 // bytes to the client
}

var (
	errClientGone = errors.New("the client has gone")
	errNoAnswer   = errors.New("the backend did not answer in time")
)

// forward serves the request whose head has n bytes, and says whether the connection can go on.
func (c *conn) forward(v *view, n int) bool {
	x := exchange{conn: c, begun: time.Now(), buf: scratches.Get().(*scratch)}
	c.door.stats.inFlight.Add(1)
	defer func() {
		c.door.stats.inFlight.Add(-1)
		c.door.stats.bytesOut.Add(x.sent)
		scratches.Put(x.buf)
	}()
	size := n + int(max(0, c.head.length))
	handed, err := x.ask(v, n, size)
	if handed {
		return false
	}
	if err != nil {
		x.fail(v, err)
		return false
	}
	c.door.stats.bytesIn.Add(int64(size))
	c.r += size
	more, err := x.reply(v)
	if err == nil && more {
		return true
	}
	if err != nil && x.sent == 0 {
		x.fail(v, err)
		return false
	}
	if err == nil && c.w > c.r {
		c.linger()
	}
	c.Close()
	return false
}

// ask sends the request and reads the head of its answer. A request that can be sent again, and was not answered at all, is handed over to be held: handed is true.
func (x *exchange) ask(v *view, n, size int) (handed bool, err error) {
	again := safeMethod(x.head.method) && x.head.length <= 0
	x.buf.out = x.head.append(x.buf.out[:0], x.client.peer, x.trusts(v))
	x.buf.out = append(x.buf.out, x.in[x.r+n:x.r+size]...)
	for {
		if x.up, err = x.connect(v, again); err != nil {
			x.handOver() // nothing was sent
			return true, nil
		}
		_, err = x.up.Write(x.buf.out)
		if err == nil || !again {
			err = x.readAnswer(v) // an early answer may have come although the write was cut
		}
		if err == nil {
			return false, nil
		}
		x.up.Close()
		if !again || x.w > 0 || errors.Is(err, errClientGone) || errors.Is(err, errNoAnswer) {
			return false, err
		}
		if !x.up.reused {
			x.handOver()
			return true, nil
		}
	}
}

// connect takes an idle connection. What must not be sent twice gets one only if it is certainly open.
func (x *exchange) connect(v *view, again bool) (*upstream, error) {
	for {
		u, err := v.backend.take()
		if err != nil || again || !u.reused || openStill(u.raw) {
			return u, err
		}
		u.Close()
	}
}

// readAnswer reads up to the end of the head of the final answer.
func (x *exchange) readAnswer(v *view) error {
	x.r, x.w = 0, 0
	for searched := 0; ; {
		n, err := headEnd(x.buf.in[x.r:x.w], searched)
		if err != nil {
			return fmt.Errorf("%w: %w", errAnswer, err)
		}
		if n > 0 {
			if err := x.answer.parse(x.buf.in[x.r : x.r+n]); err != nil {
				return err
			}
			x.r += n
			if x.answer.status >= 200 {
				return nil
			}
			if x.answer.status == http.StatusSwitchingProtocols {
				return fmt.Errorf("%w: 101 to a request that did not ask for it", errAnswer)
			}
			searched = 0
			continue // an interim answer that was not asked for
		}
		searched = x.w - x.r
		if x.w == len(x.buf.in) {
			return fmt.Errorf("%w: its head is longer than %d bytes", errAnswer, len(x.buf.in))
		}
		if err := x.readUp(v.backend.answerTimeout); err != nil {
			return err
		}
	}
}

// readUp reads once from the backend, looking each second whether the client is still there. It gives up after limit without a byte; 0: never.
func (x *exchange) readUp(limit time.Duration) error {
	var waited time.Duration
	for {
		x.up.look()
		n, err := x.up.Read(x.buf.in[x.w:])
		x.w += n
		if n > 0 {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if goneAway(x.client.raw) {
			return errClientGone
		}
		if waited += lookEvery; limit > 0 && waited > limit {
			return errNoAnswer
		}
	}
}

// look makes the next read return within a second or two.
func (u *upstream) look() {
	now := time.Now()
	if u.deadline.Sub(now) > lookEvery/2 {
		return
	}
	u.deadline = now.Add(lookEvery)
	_ = u.SetReadDeadline(u.deadline) // fails only on a closed connection, as will the read
}

// reply passes the answer on and says whether the client's connection can go on.
func (x *exchange) reply(v *view) (more bool, err error) {
	a := &x.answer
	body := a.hasBody(string(x.head.method) == http.MethodHead)
	untilClose := body && a.length < 0 && !a.chunked
	closing := x.head.close || untilClose || x.door.draining.Load()
	x.buf.out = a.append(x.buf.out[:0], closing)
	var whole bool
	switch {
	case !body:
		whole, err = true, x.flush(nil)
	case untilClose:
		err = x.copyAll()
	case a.chunked:
		whole, err = x.copyChunks()
	default:
		whole, err = x.copyLength(a.length)
	}
	if x.sent > 0 {
		x.door.stats.observe(v.modeIndex, a.status, time.Since(x.begun))
	}
	if whole && err == nil && !a.close && x.r == x.w {
		v.backend.give(x.up, time.Now())
	} else {
		x.up.Close()
	}
	return !closing && err == nil, err
}

// flush writes out, and p behind it.
func (x *exchange) flush(p []byte) error {
	x.buf.out = append(x.buf.out, p...)
	n, err := x.Write(x.buf.out)
	x.sent += int64(n)
	x.buf.out = x.buf.out[:0]
	return err
}

// pass writes p, after the head if that was not written yet.
func (x *exchange) pass(p []byte) error {
	if len(x.buf.out) > 0 {
		return x.flush(p)
	}
	n, err := x.Write(p)
	x.sent += int64(n)
	return err
}

// copyLength passes n bytes: what came with the head together with it, the rest from socket to socket in the kernel where it can.
func (x *exchange) copyLength(n int64) (bool, error) {
	have := min(n, int64(x.w-x.r))
	if err := x.flush(x.buf.in[x.r : x.r+int(have)]); err != nil {
		return false, err
	}
	x.r += int(have)
	rest := io.LimitedReader{R: x.up.TCPConn, N: n - have}
	for rest.N > 0 {
		x.up.look()
		n, err := x.copy(&rest)
		x.sent += n
		if err == nil && rest.N > 0 {
			return false, io.ErrUnexpectedEOF
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return false, err
		}
		if err != nil && goneAway(x.client.raw) {
			return false, errClientGone
		}
	}
	return true, nil
}

func (x *exchange) copy(rest *io.LimitedReader) (int64, error) {
	if x.client.peer.tls {
		return io.CopyBuffer(struct{ io.Writer }{x.Conn}, rest, x.buf.in[:])
	}
	return x.client.ReadFrom(rest)
}

// copyChunks passes a chunked body as it comes, chunks unchanged.
func (x *exchange) copyChunks() (bool, error) {
	var c chunks
	for {
		n, err := c.scan(x.buf.in[x.r:x.w])
		if err != nil {
			return false, fmt.Errorf("%w: %w", errAnswer, err)
		}
		if n > 0 || len(x.buf.out) > 0 {
			if err := x.pass(x.buf.in[x.r : x.r+n]); err != nil {
				return false, err
			}
		}
		if x.r += n; c.ended {
			return true, nil
		}
		x.r, x.w = 0, 0
		if err := x.readUp(0); err != nil {
			return false, err
		}
	}
}

// copyAll passes what comes until the backend closes.
func (x *exchange) copyAll() error {
	for {
		if err := x.pass(x.buf.in[x.r:x.w]); err != nil {
			return err
		}
		x.r, x.w = 0, 0
		if err := x.readUp(0); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// fail answers a request that got no answer, and ends the connection.
func (x *exchange) fail(v *view, err error) {
	if errors.Is(err, errClientGone) {
		x.door.stats.observe(v.modeIndex, statusClientGone, time.Since(x.begun))
		x.Close()
		return
	}
	no := refusal{http.StatusBadGateway, "the frontend closed the connection without an answer"}
	if errors.Is(err, errNoAnswer) {
		no = refusal{http.StatusGatewayTimeout, "the frontend did not answer in time"}
	} else if errors.Is(err, errAnswer) {
		no.reason = "the frontend's answer could not be understood"
		x.door.log.Printf("request %s %.200q: %v", x.head.method, x.head.target, err)
	}
	x.refuse(&no)
}
