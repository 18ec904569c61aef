package metrics

import (
	"maps"
	"sync"
	"time"
)

// readyBounds are the upper bounds of the time to ready, in seconds: from a program that starts at once to a database that recovers.
var readyBounds = [...]float64{.01, .05, .25, 1, 5, 15, 60, 300}

// Counts is what a Tally counted.
type Counts struct {
	Restarts    map[string]uint64 // by cause
	Killed      uint64            // stops in which something had to be killed
	OOMKills    uint64
	ReadyMisses uint64 // failed readiness probes of a run that has been ready
	LiveMisses  uint64 // failed liveness probes
	Ready       [len(readyBounds) + 1]uint64
	ReadySum    float64 // seconds
}

// Tally counts what happens to one instance. The zero value is ready for use; several goroutines may use it.
type Tally struct {
	mu       sync.Mutex
	counts   Counts
	started  time.Time // of a run that is not ready yet
	restarts int
	killed   bool
}

// View is the part of a published state that is counted.
type View struct {
	State    string
	Since    time.Time
	Restarts int    // since the appliance started
	Killed   bool   // the present or last stop had to kill
	Cause    string // of the last end; empty if there was none
}

// Resume begins where an earlier supervisor ended.
func (t *Tally) Resume(v View) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.restarts, t.killed = v.Restarts, v.Killed
}

// Observe counts what the view shows for the first time.
func (t *Tally) Observe(v View) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := v.Restarts - t.restarts; n > 0 {
		cause := v.Cause
		if cause == "" {
			cause = "unknown"
		}
		if t.counts.Restarts == nil {
			t.counts.Restarts = map[string]uint64{}
		}
		t.counts.Restarts[cause] += uint64(n)
	}
	t.restarts = v.Restarts
	if v.Killed && !t.killed {
		t.counts.Killed++
	}
	t.killed = v.Killed
	t.readiness(v)
}

func (t *Tally) readiness(v View) {
	switch {
	case v.State == "starting":
		if t.started.IsZero() {
			t.started = v.Since
		}
	case v.State == "ready" && !t.started.IsZero():
		took := v.Since.Sub(t.started).Seconds()
		t.started = time.Time{}
		i := 0
		for i < len(readyBounds) && took > readyBounds[i] {
			i++
		}
		t.counts.Ready[i]++
		t.counts.ReadySum += took
	case v.State == "backoff" || v.State == "failed" || v.State == "stopped" || v.State == "waiting":
		t.started = time.Time{} // that run will never be ready
	}
}

// Missed counts a failed probe of a run that has been ready.
func (t *Tally) Missed(live bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if live {
		t.counts.LiveMisses++
	} else {
		t.counts.ReadyMisses++
	}
}

// OOMKilled counts processes that the kernel killed for want of memory.
func (t *Tally) OOMKilled(n uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts.OOMKills += n
}

// Counts is what was counted so far.
func (t *Tally) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts
	c.Restarts = maps.Clone(c.Restarts)
	return c
}
