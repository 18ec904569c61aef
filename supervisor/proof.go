package supervisor

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/sourcegraph/appliance/supervisor/engine"
)

const (
	contSignal = syscall.SIGCONT
	killSignal = syscall.SIGKILL
)

// Kill ends all that is left of a run, and answers Dead once nothing is; see [engine.World].
func (h *Host) Kill(name string, run uint64, force bool) {
	u := h.unit(name)
	l := u.lifeOf(run)
	if l == nil {
		h.engine.Post(name, engine.Event{Kind: engine.Dead, Run: run})
		return
	}
	l.mu.Lock()
	l.dying = true
	if l.proc == nil {
		l.unwanted = true
	}
	l.mu.Unlock()
	go func() {
		l.cancel() // also ends a probe that is under way
		<-l.up
		killed := h.prove(l, force)
		l.asking.Wait() // its cgroup is closed and its number may be used again: nothing must fork into it any more
		if l.forked.Load() {
			h.prove(l, false) // what a probe has put into it since
		}
		<-l.ended // how it ended is told before that it is dead
		h.endLine(u)
		h.engine.Post(name, engine.Event{Kind: engine.Dead, Run: run, Killed: killed})
		h.forget(l)
	}()
}

// lineWait is how long the next run may be held up for the last words of this one; a disk that takes them does so in well under 1 ms.
const lineWait = 50 * time.Millisecond

// endLine keeps a last line without its newline: nothing will finish it, and the next run's first line is not its end (E47). A disk
// that stalls is not waited for.
func (h *Host) endLine(u *unit) { h.drain(u, lineWait) }

// drain returns once what the pipe holds is kept, or that time is over.
func (h *Host) drain(u *unit, most time.Duration) {
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		ctx, cancel := context.WithTimeout(context.Background(), most)
		defer cancel()
		_ = u.pump.Drain(ctx) // what could not be kept in time is kept with the next line
	}()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-kept:
	case <-timer.C:
	}
}

// prove kills what is left of the run until nothing is, and says whether anything had to be. There is no deadline: what the kernel does
// not let die is shown as unkillable meanwhile (E7).
func (h *Host) prove(l *life, force bool) (killed bool) {
	if l.forgotten.Load() {
		return false
	}
	if !force && (h.empty(l) || l.wasTold() && h.emptySoon(l)) {
		return false
	}
	for pause := time.Millisecond; ; pause = min(2*pause, time.Second) {
		h.killAll(l)
		ctx, cancel := context.WithTimeout(context.Background(), pause)
		if l.group != nil {
			_ = l.group.WaitEmpty(ctx) // empty decides
		} else {
			<-ctx.Done()
		}
		cancel()
		if h.empty(l) {
			return true
		}
	}
}

// stragglerWait is what helpers of a service that has stopped as it was told get to be gone by themselves: a git that it has just killed takes
// milliseconds. The number is ours.
const stragglerWait = 100 * time.Millisecond

// emptySoon waits that long.
func (h *Host) emptySoon(l *life) bool {
	ctx, cancel := context.WithTimeout(context.Background(), stragglerWait)
	defer cancel()
	if l.group != nil {
		_ = l.group.WaitEmpty(ctx) // empty decides
		return h.empty(l)
	}
	for !h.empty(l) {
		if !pause(ctx, stragglerWait/10) {
			return false
		}
	}
	return true
}

// empty is the proof of death at the grade that is to be had: the cgroup is empty; without one, no process carries the run's
// mark; without that, the main process is gone and no descendant or marked process is found.
func (h *Host) empty(l *life) bool {
	if l.group != nil {
		populated, err := l.group.Populated()
		return err == nil && !populated
	}
	return len(h.strays(l)) == 0
}

func (h *Host) killAll(l *life) {
	if l.group != nil {
		if err := l.group.Kill(); err != nil {
			h.log.Error("kill", "service", l.inst.Name(), "run", l.run, "err", err)
		}
		return
	}
	if p := l.process(); p != nil {
		if err := p.Signal(killSignal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			h.log.Error("kill", "service", l.inst.Name(), "run", l.run, "err", err)
		}
	}
	for _, stray := range h.strays(l) {
		if err := stray.Signal(killSignal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			h.log.Error("kill stray", "service", l.inst.Name(), "pid", stray.PID, "err", err)
		}
	}
}

// forget frees what a dead run held.
func (h *Host) forget(l *life) {
	if l.forgotten.Swap(true) {
		return
	}
	if l.mark != 0 && h.marks != nil {
		h.marks.Free(l.mark)
	}
	if l.group == nil {
		return
	}
	if err := l.group.Remove(); err != nil {
		h.log.Warn("remove the cgroup of a dead run", "service", l.inst.Name(), "run", l.run, "err", err)
	}
	l.group.Close()
}
