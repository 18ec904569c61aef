package logs

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// longestWait is how long lines of slow services gather before they are written together. It is what a follower may notice.
	longestWait = 10 * time.Millisecond

	// stallAfter is how long a disk may take for one write before services no longer wait for it.
	stallAfter = 5 * time.Second

	// retryEvery is how often a log that could not be written is tried again.
	retryEvery = time.Second
)

// Pumps carries the output of all services, in one goroutine that holds all the buffers.
type Pumps struct {
	epoll, wake, null int

	turns   chan *turn // holds one; who has taken it owns the buffers and every pump's file
	packer  *packer
	stalled atomic.Bool // the disk does not answer; a turn has been given up to it
	inRound atomic.Bool // the goroutine of run has the turn
	done    sync.WaitGroup

	mu     sync.Mutex
	pumps  map[int32]*Pump
	next   int32
	closed bool
	busy   *busy // the disk call under way
	armed  bool  // guard runs
	guard  *time.Timer

	stallAfter time.Duration
	retryEvery time.Duration
}

// NewPumps starts the goroutine that the pumps share.
func NewPumps() (*Pumps, error) { return newPumps(stallAfter, retryEvery) }

func newPumps(stallAfter, retryEvery time.Duration) (*Pumps, error) {
	k := &Pumps{
		epoll: -1, wake: -1, null: -1,
		turns: make(chan *turn, 1), pumps: map[int32]*Pump{},
		stallAfter: stallAfter, retryEvery: retryEvery,
	}
	k.packer = newPacker(k.packFailed)
	t, err := k.openAll()
	if err != nil {
		k.closeAll()
		return nil, fmt.Errorf("start log pumps: %w", err)
	}
	k.turns <- t
	k.guard = time.AfterFunc(time.Hour, k.checkDisk)
	k.guard.Stop()
	k.done.Go(func() { k.run(nil) })
	return k, nil
}

func (k *Pumps) openAll() (t *turn, err error) {
	if k.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if k.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, err
	}
	if k.null, err = unix.Open(os.DevNull, unix.O_WRONLY|unix.O_CLOEXEC, 0); err != nil {
		return nil, err
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1}
	if err := unix.EpollCtl(k.epoll, unix.EPOLL_CTL_ADD, k.wake, &ev); err != nil {
		return nil, err
	}
	return newTurn()
}

func (k *Pumps) closeAll() {
	for _, fd := range []int{k.epoll, k.wake, k.null} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// Close closes all pumps and ends the goroutine. What is still in the pipes stays there for whoever else holds them.
func (k *Pumps) Close() error {
	var errs []error
	for _, p := range k.all() {
		errs = append(errs, p.Close())
	}
	k.mu.Lock()
	was := k.closed
	k.closed = true
	k.mu.Unlock()
	if was {
		return nil
	}
	k.kick()
	k.packer.close()
	if k.stalled.Load() {
		return errors.Join(append(errs, errStalled)...) // a goroutine hangs in the kernel; it cannot be ended
	}
	k.done.Wait()
	k.guard.Stop()
	t := <-k.turns
	t.close()
	k.closeAll()
	return errors.Join(errs...)
}

func (k *Pumps) all() []*Pump {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := make([]*Pump, 0, len(k.pumps))
	for _, p := range k.pumps {
		list = append(list, p)
	}
	return list
}

func (k *Pumps) isClosed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closed
}

// kick wakes the goroutine up.
func (k *Pumps) kick() {
	one := [8]byte{1}
	_, _ = unix.Write(k.wake, one[:])
}

func (k *Pumps) packFailed(dir string, err error) {
	for _, p := range k.all() {
		if p.file.dir == dir {
			p.failed(err)
		}
	}
}

// turn is the right to pump, and the buffers for it.
type turn struct {
	in, out []byte
	spans   []span
	cut     bool // the last look did not show all that the pipe held
	r, w    int  // a pipe of our own, empty between two blocks
	cap     int  // its size
}

// outSize has room for a pipe full of lines of ordinary length with their prefixes; more is written in parts.
const outSize = pipeSize + pipeSize/2

func newTurn() (*turn, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	size, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	if err != nil {
		size, err = unix.FcntlInt(uintptr(fds[0]), unix.F_GETPIPE_SZ, 0)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return &turn{in: make([]byte, pipeSize), out: make([]byte, 0, outSize), r: fds[0], w: fds[1], cap: size}, nil
}

func (t *turn) close() {
	unix.Close(t.r)
	unix.Close(t.w)
}

// run waits for output and carries it until the pumps are closed. ready are pumps to begin with.
func (k *Pumps) run(ready []*Pump) {
	var events [64]unix.EpollEvent
	wait := longestWait
	nextAge := time.Now().Add(ageEvery)
	look := shortestLook
	for {
		if len(ready) == 0 {
			ready = k.withGrown(k.collect(ready, events[:], k.timeout(nextAge, look)))
			if look = min(2*look, longestLook); len(ready) > 0 {
				look = shortestLook
			}
			if len(ready) > 0 && wait > 0 {
				pause(wait)
				ready = k.collect(ready, events[:], 0)
			}
		}
		if k.isClosed() {
			return
		}
		if now := time.Now(); now.After(nextAge) {
			ready = k.all()
			nextAge = now.Add(ageEvery)
			for _, p := range ready {
				p.aging.Store(true)
			}
		}
		ready = k.withBacklog(ready)
		var fullest float64
		var ok bool
		ready, fullest, ok = k.round(ready)
		if !ok {
			return // another goroutine runs since the disk stalled
		}
		wait = nextWait(wait, fullest)
	}
}

// nextWait shortens the wait when pipes fill up meanwhile, and lengthens it when little comes. One look shows half a pipe.
func nextWait(wait time.Duration, fullest float64) time.Duration {
	switch {
	case fullest > 0.3:
		wait /= 4
		if wait < time.Millisecond {
			wait = 0
		}
	case fullest < 0.125:
		wait = max(time.Millisecond, 2*wait)
	}
	return min(wait, longestWait)
}

// ageEvery is how often the logs of silent services are looked at for their age.
const ageEvery = time.Minute

// A pipe that still holds an unfinished line is looked at now and then, less often while nothing comes: the kernel tells of new output
// in the middle of a big write only if the pipe was empty, and its writer may be waiting for us.
const (
	shortestLook = time.Millisecond
	longestLook  = time.Second
)

// withGrown adds the pumps whose unfinished line has grown.
func (k *Pumps) withGrown(ready []*Pump) []*Pump {
	for _, p := range k.all() {
		if rest := p.rest.Load(); rest != 0 && int64(waiting(p.fd)) != rest && !slices.Contains(ready, p) {
			ready = append(ready, p)
		}
	}
	return ready
}

// timeout is how long there is nothing to do, in milliseconds.
func (k *Pumps) timeout(nextAge time.Time, look time.Duration) int {
	d := time.Until(nextAge)
	for _, p := range k.all() {
		if p.late.Load() && !k.stalled.Load() {
			d = min(d, k.retryEvery)
		}
		if p.rest.Load() != 0 {
			d = min(d, look)
		}
	}
	return int(max(d.Milliseconds(), 0)) + 1
}

// collect adds the pumps that have output, each once.
func (k *Pumps) collect(ready []*Pump, events []unix.EpollEvent, timeout int) []*Pump {
	n, err := unix.EpollWait(k.epoll, events, timeout)
	if err != nil || n == 0 {
		return ready // EINTR
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, ev := range events[:n] {
		p := k.pumps[ev.Fd]
		if p == nil {
			continue // closed, or the wake-up
		}
		if ev.Events&unix.EPOLLHUP != 0 {
			p.hungUp = true
		}
		if !slices.Contains(ready, p) {
			ready = append(ready, p)
		}
	}
	return ready
}

// withBacklog adds the pumps whose lines wait for the disk.
func (k *Pumps) withBacklog(ready []*Pump) []*Pump {
	if k.stalled.Load() {
		return ready
	}
	for _, p := range k.all() {
		if p.late.Load() && !slices.Contains(ready, p) {
			ready = append(ready, p)
		}
	}
	return ready
}

// pause is a sleep of the thread. Go's timers would be woken up by every line meanwhile, and know no fractions of a millisecond.
func pause(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil)
}

// round pumps each of ready once. more are those that have more, fullest is how full the fullest pipe was.
// ok is false if the turn was lost to a stalled disk.
func (k *Pumps) round(ready []*Pump) (more []*Pump, fullest float64, ok bool) {
	t := <-k.turns
	k.inRound.Store(true)
	more = ready[:0]
	for _, p := range ready {
		if p.closed {
			continue
		}
		hungUp := p.takeHungUp()
		n, err := p.pump(t, hungUp)
		if errors.Is(err, errTurnLost) {
			return nil, 0, false
		}
		fullest = max(fullest, float64(n)/float64(p.cap))
		if t.cut && hungUp {
			p.leaveHungUp()
		}
		if t.cut && n > 0 || n >= min(p.cap, t.cap)/2 {
			more = append(more, p)
		}
	}
	k.inRound.Store(false)
	k.turns <- t
	return more, fullest, true
}
