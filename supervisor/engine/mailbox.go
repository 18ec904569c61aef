package engine

import "sync"

// mailbox is an unbounded queue: machines that send to each other must never wait for each other. What bounds it is that
// every event is a consequence of an order, a process or a timer.
type mailbox struct {
	mu    sync.Mutex
	queue []Event
	ring  chan struct{} // capacity 1
}

func newMailbox() *mailbox { return &mailbox{ring: make(chan struct{}, 1)} }

func (b *mailbox) put(ev Event) {
	b.mu.Lock()
	b.queue = append(b.queue, ev)
	b.mu.Unlock()
	select {
	case b.ring <- struct{}{}:
	default:
	}
}

// take returns all that is queued, nothing if that is nothing.
func (b *mailbox) take() []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.queue
	b.queue = nil
	return all
}
