package logs

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

var (
	errStalled  = errors.New("the disk does not answer")
	errTurnLost = errors.New("the disk did not answer, and another goroutine pumps now")
)

// busy is a call to the disk that is under way.
type busy struct {
	pump     *Pump
	raw      int // bytes in the pump's pipe that it is about
	since    time.Time
	relieved bool
}

// disk does what may hang in the kernel for as long as a disk does. lines is what do writes for p, from raw bytes of its pipe.
//
// When it hangs for too long, the turn passes to a new goroutine, which keeps all lines in memory, and disk returns errTurnLost
// as soon as the call comes back: the caller no longer owns anything.
func (k *Pumps) disk(p *Pump, raw int, lines []byte, do func() error) error {
	b := &busy{pump: p, raw: raw, since: time.Now()}
	if !k.enter(b) {
		return errStalled
	}
	err := do()
	if k.leave(b) {
		return err
	}
	t := <-k.turns
	if err != nil && len(lines) > 0 {
		p.lose(lines, err)
	}
	k.stalled.Store(false)
	for _, p := range k.all() {
		p.retryAt = time.Time{}
	}
	k.turns <- t
	k.kick()
	return errTurnLost
}

func (k *Pumps) enter(b *busy) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stalled.Load() {
		return false
	}
	k.busy = b
	if !k.armed {
		k.armed = true
		k.guard.Reset(k.stallAfter)
	}
	return true
}

// leave says whether the turn is still the caller's.
func (k *Pumps) leave(b *busy) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.busy = nil
	return !b.relieved
}

// checkDisk runs on the guard's timer, which is armed while there are calls to the disk.
func (k *Pumps) checkDisk() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy == nil || k.busy.relieved {
		k.armed = false
		return
	}
	if age := time.Since(k.busy.since); age < k.stallAfter {
		k.guard.Reset(k.stallAfter - age)
		return
	}
	k.armed = false
	k.relieveLocked()
}

// relieveLocked gives the turn of a hanging call to a new goroutine.
func (k *Pumps) relieveLocked() {
	t, err := newTurn()
	if err != nil {
		k.armed = true
		k.guard.Reset(k.stallAfter) // no descriptors: services wait, nothing is lost
		return
	}
	b := k.busy
	b.relieved = true
	k.stalled.Store(true)
	if b.raw > 0 {
		k.consume(b.pump, b.raw) // they are in the hanging call's hands
	}
	if b.pump != nil {
		b.pump.rest.Store(-1) // look again
	}
	if k.inRound.Swap(false) && !k.closed {
		ready := make([]*Pump, 0, len(k.pumps))
		for _, p := range k.pumps {
			ready = append(ready, p)
		}
		k.done.Go(func() { k.run(ready) })
	}
	k.turns <- t
	k.kick()
}

// consume takes n bytes out of the pump's pipe, unread.
func (k *Pumps) consume(p *Pump, n int) {
	p.owners.take(func() (taken int) {
		for taken < n {
			m, err := unix.Splice(p.fd, nil, k.null, nil, n-taken, unix.SPLICE_F_NONBLOCK)
			if err == unix.EINTR {
				continue
			}
			if err != nil || m <= 0 {
				break // somebody else reads this pipe
			}
			taken += int(m)
		}
		return taken
	})
}
