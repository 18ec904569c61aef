package logs

import (
	"math"
	"sync"
)

// owners says which run wrote what is in a pipe: the next run begins while lines of the one before may still wait there.
type owners struct {
	mu   sync.Mutex
	gone uint64  // bytes that have left the pipe
	list []owner // in order of from; the first is whose the next byte is
}

// owner is a run, and the first byte that is its own, counted from the first that ever left the pipe.
type owner struct{ run, from uint64 }

// begin makes whatever is written from now on the run's; wait is how many bytes are in the pipe.
func (o *owners) begin(run uint64, wait func() int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, owner{run, o.gone + uint64(wait())})
}

// next is whose the next bytes are, and how many of them there are at most.
func (o *owners) next() (run uint64, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.list) > 1 && o.list[1].from <= o.gone {
		o.list = o.list[1:]
	}
	if len(o.list) > 1 {
		return o.list[0].run, int(o.list[1].from - o.gone)
	}
	return o.list[0].run, math.MaxInt
}

// take takes bytes out of the pipe; how many says how many it were.
func (o *owners) take(howMany func() int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone += uint64(howMany())
}

// latest is the run that writes now.
func (o *owners) latest() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.list[len(o.list)-1].run
}
