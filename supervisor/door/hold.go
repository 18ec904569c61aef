package door

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errHoldFull = errors.New("too many requests wait already")
	errHoldOver = errors.New("the frontend did not come back in time")
)

// heldCost is what a held request occupies beside its head and the bytes of its body that net/http reads ahead: buffers and goroutines.
const heldCost = 24 << 10

// hold is where requests wait, bounded in number, memory and time.
type hold struct {
	suspect atomic.Bool // the backend refused a connection and has not accepted one since

	mu      sync.Mutex
	waiting int
	bytes   int64
	since   time.Time     // of suspect
	changed chan struct{} // closed when it is worth trying again
	probing bool
}

func newHold() *hold { return &hold{changed: make(chan struct{})} }

// ticket is taken before looking whether the wait is over, so that no change is missed.
func (h *hold) ticket() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// wake lets all who wait try again.
func (h *hold) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.changed)
	h.changed = make(chan struct{})
}

// refused notes that the backend refused a connection, and returns since when it does.
func (h *hold) refused() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.suspect.Load() {
		h.suspect.Store(true)
		h.since = time.Now()
	}
	return h.since
}

// accepted notes that the backend accepted a connection.
func (h *hold) accepted() {
	if !h.suspect.Load() {
		return
	}
	h.mu.Lock()
	h.suspect.Store(false)
	h.mu.Unlock()
	h.wake()
}

// enter makes room for one more that waits, of size bytes.
func (h *hold) enter(l Limits, size int64) (leave func(), err error) {
	size += heldCost
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting >= l.HoldRequests || h.bytes+size > l.HoldBytes {
		return nil, errHoldFull
	}
	h.waiting++
	h.bytes += size
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.waiting--
		h.bytes -= size
	}, nil
}

func (h *hold) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waiting
}

// wait returns when ticket is due, or with the reason why waiting is over.
func wait(ctx context.Context, ticket <-chan struct{}, until time.Time) error {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-ticket:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return errHoldOver
	}
}

// probe dials b until it accepts, as long as anybody waits. One goroutine does it for all.
func (h *hold) probe(b *backend) {
	h.mu.Lock()
	if h.probing {
		h.mu.Unlock()
		return
	}
	h.probing = true
	h.mu.Unlock()
	go func() {
		defer func() {
			h.mu.Lock()
			h.probing = false
			h.mu.Unlock()
			h.wake() // whoever came while we ended starts the next one
		}()
		for pause := 5 * time.Millisecond; h.count() > 0; pause = min(2*pause, 100*time.Millisecond) {
			if u, err := b.dial(); err == nil {
				b.give(u, time.Now())
				h.accepted()
				return
			}
			if h.replaced(pause) {
				return
			}
		}
	}()
}

// replaced waits, and says whether a new State came meanwhile, perhaps with another backend.
func (h *hold) replaced(pause time.Duration) bool {
	return wait(context.Background(), h.ticket(), time.Now().Add(pause)) == nil
}
