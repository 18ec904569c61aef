package metrics

import (
	"slices"
	"sync"
	"time"
)

// Door is what one front door counted since it began.
type Door struct {
	PID      int
	Since    time.Time
	Requests map[Answer]uint64
	Bounds   []float64 // upper bounds of Latency in seconds; Latency has one bucket more
	Latency  []uint64  // not cumulative
	Seconds  float64   // all latencies together

	HeldTotal, HeldRefused, Refused uint64
	BytesIn, BytesOut               uint64

	Connections, InFlight, Held int
	CertificateOK               bool
	CertificateEnd              time.Time // zero without TLS
	Draining                    bool
}

// Answer is how requests were answered.
type Answer struct {
	Mode string // progress, proxy, hold, maintenance
	Code int    // 499: the client went away
}

// Doors adds up over the doors of one supervisor: a new one counts from zero. What a door counted after it was last asked, and before it
// ended, is lost.
type Doors struct {
	mu    sync.Mutex
	ended Door // all earlier ones
	last  *Door
}

// Add takes the figures of a door and returns the sums.
func (d *Doors) Add(now Door) Door {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last != nil && (d.last.PID != now.PID || !d.last.Since.Equal(now.Since)) {
		d.ended = plus(d.ended, *d.last)
	}
	d.last = &now
	return plus(d.ended, now)
}

// Last is the sums as last known; nil if no door was ever asked.
func (d *Doors) Last() *Door {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil {
		return nil
	}
	sum := plus(d.ended, *d.last)
	return &sum
}

// plus adds what is counted; what is now is that of the latter.
func plus(a, b Door) Door {
	sum := b
	sum.Requests = map[Answer]uint64{}
	for _, requests := range []map[Answer]uint64{a.Requests, b.Requests} {
		for k, n := range requests {
			sum.Requests[k] += n
		}
	}
	sum.Latency = slices.Clone(b.Latency)
	for i, n := range a.Latency {
		if i < len(sum.Latency) {
			sum.Latency[i] += n
		}
	}
	sum.Seconds += a.Seconds
	sum.HeldTotal += a.HeldTotal
	sum.HeldRefused += a.HeldRefused
	sum.Refused += a.Refused
	sum.BytesIn += a.BytesIn
	sum.BytesOut += a.BytesOut
	return sum
}
