package door

import (
	"sync/atomic"
	"time"
)

// Buckets are the upper bounds of Stats.Latency in seconds; one more bucket is above them all.
var Buckets = [...]float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// statusClientGone counts requests whose client went away before the answer (nginx's convention); nobody is ever sent it.
const statusClientGone = 499

// Stats is what the door counted since it started. Counters only grow; a new door starts at zero.
type Stats struct {
	PID         int                      `json:"pid"`
	Since       time.Time                `json:"since"`
	Requests    map[Mode]map[int]uint64  `json:"requests"`    // by the mode in force and the answer's status code; 499: the client went away
	Latency     [len(Buckets) + 1]uint64 `json:"latency"`     // requests by time to the end of the answer, not cumulative; see Buckets
	LatencySum  float64                  `json:"latency_sum"` // seconds
	Connections int                      `json:"connections"` // open
	InFlight    int64                    `json:"in_flight"`   // requests being answered, held ones and upgraded connections included
	Held        int                      `json:"held"`
	HeldTotal   uint64                   `json:"held_total"`
	HeldRefused uint64                   `json:"held_refused"` // waited in vain, or no room to wait
	Refused     uint64                   `json:"refused"`      // connections beyond the limit, or without a descriptor
	BytesIn     int64                    `json:"bytes_in"`     // of requests to the backend
	BytesOut    int64                    `json:"bytes_out"`    // of the backend's answers; heads included where the fast path wrote them
	TLSError    string                   `json:"tls_error"`    // why there is no certificate, or not the one that there should be; empty: all is well
	Certificate *Certificate             `json:"certificate"`  // in use; nil: none
	Listeners   map[string]string        `json:"listeners"`    // name -> address
	Draining    bool                     `json:"draining"`
	SetupDone   bool                     `json:"setup_done"` // a request that needed the setup token came with it and was answered 2xx: there is an administrator
}

// counters are Stats while they are counted.
type counters struct {
	since       time.Time
	requests    [len(modes)][600]atomic.Uint64
	latency     [len(Buckets) + 1]atomic.Uint64
	nanoseconds atomic.Int64
	inFlight    atomic.Int64
	heldTotal   atomic.Uint64
	heldRefused atomic.Uint64
	refused     atomic.Uint64
	bytesIn     atomic.Int64
	bytesOut    atomic.Int64
	setupDone   atomic.Bool
}

func (c *counters) observe(mode, status int, took time.Duration) {
	if status < 0 || status >= len(c.requests[0]) {
		status = 0
	}
	c.requests[mode][status].Add(1)
	i, s := 0, took.Seconds()
	for i < len(Buckets) && s > Buckets[i] {
		i++
	}
	c.latency[i].Add(1)
	c.nanoseconds.Add(int64(took))
}

func (c *counters) read() Stats {
	s := Stats{
		Since: c.since, Requests: map[Mode]map[int]uint64{}, LatencySum: time.Duration(c.nanoseconds.Load()).Seconds(),
		InFlight: c.inFlight.Load(), HeldTotal: c.heldTotal.Load(), HeldRefused: c.heldRefused.Load(),
		Refused: c.refused.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		SetupDone: c.setupDone.Load(),
	}
	for m := range c.requests {
		codes := map[int]uint64{}
		for code := range c.requests[m] {
			if n := c.requests[m][code].Load(); n > 0 {
				codes[code] = n
			}
		}
		s.Requests[modes[m]] = codes
	}
	for i := range c.latency {
		s.Latency[i] = c.latency[i].Load()
	}
	return s
}
