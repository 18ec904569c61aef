package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/elsewhere"
	"github.com/sourcegraph/appliance/supervisor/engine"
	"github.com/sourcegraph/appliance/supervisor/probe"
)

// The rhythm of probes that say nothing else (process-model: probes start at 5 ms and double up to Every).
const (
	firstProbe    = 5 * time.Millisecond
	defaultEvery  = 10 * time.Second
	defaultMisses = 3
	startingEvery = time.Second // at most, until a run is first ready: people and dependents wait for that. The number is ours
)

// Probe watches a run's readiness and liveness until it is dead; see [engine.World].
func (h *Host) Probe(name string, run uint64) {
	u := h.unit(name)
	l := u.lifeOf(run)
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.probing || l.dying {
		return
	}
	l.probing = true
	l.asking.Add(1)
	go func() {
		defer l.asking.Done()
		h.probe(u, l)
	}()
}

// probe is the one goroutine that asks the run anything: never two questions at once (E37).
func (h *Host) probe(u *unit, l *life) {
	if !h.untilReady(u, l) {
		return
	}
	h.engine.Post(u.name, engine.Event{Kind: engine.ProbePassed, Run: l.run})
	h.watch(u, l)
}

// watch asks a run that has been ready whether it still is, and whether it lives; one answer serves both where they ask the same.
func (h *Host) watch(u *unit, l *life) {
	var ready, live *question
	for l.ctx.Err() == nil {
		inst, news := u.definition(l)
		now := time.Now()
		ready, live = ready.renew(inst.Ready, now), live.renew(inst.Live, now)
		q := sooner(ready, live)
		if !q.due(l.ctx, news) {
			continue
		}
		err := h.askOnce(l, u, q.probe)
		if l.ctx.Err() != nil {
			return
		}
		now = time.Now()
		both := ready.sharesWith(live)
		if both || q == ready {
			h.heardReady(u, l, ready.answered(err, now), err)
		}
		if both || q == live {
			h.heardLive(u, l, live.answered(err, now), err)
		}
	}
}

// heardReady tells the engine what the answer to the question of readiness turns.
func (h *Host) heardReady(u *unit, l *life, turned bool, err error) {
	if err != nil {
		u.tally.Missed(false)
	}
	switch {
	case turned && err != nil:
		h.engine.Post(u.name, missed(l, err))
	case turned:
		h.engine.Post(u.name, engine.Event{Kind: engine.ProbePassed, Run: l.run})
	}
}

// heardLive tells the engine of a run that has not answered often enough.
func (h *Host) heardLive(u *unit, l *life, turned bool, err error) {
	if err == nil {
		return
	}
	u.tally.Missed(true)
	if turned {
		h.engine.Post(u.name, engine.Event{Kind: engine.Hung, Run: l.run, Err: fmt.Errorf("no sign of life: %w", err)})
	}
}

// untilReady asks from 5 ms on, ever more slowly, until the run says that it is ready. False: it is over.
func (h *Host) untilReady(u *unit, l *life) bool {
	p := l.inst.Ready
	switch {
	case p == nil:
		return l.ctx.Err() == nil
	case p.Log != "" || p.Notify:
		select {
		case <-l.ready:
			return true
		case <-l.ctx.Done():
			return false
		}
	}
	every := orDefault(p.Every, defaultEvery)
	said := ""
	for wait := firstProbe; ; wait = nextStarting(wait, every) {
		if !pause(l.ctx, wait) {
			return false
		}
		err := h.askOnce(l, u, *p)
		if err == nil {
			who := h.strangerAtProbe(l, *p)
			if who == nil {
				return true
			}
			err = who
		} else if !elsewhere.Asks(*p) { // a service says in its own log why it takes so long
			continue
		}
		if l.ctx.Err() == nil && said != err.Error() {
			said = err.Error()
			h.engine.Post(u.name, missed(l, err))
		}
	}
}

// nextStarting is the pause after another one, of a run that has not been ready yet.
func nextStarting(wait, every time.Duration) time.Duration { return min(2*wait, every, startingEvery) }

// strangerAtProbe is who answered instead of the run, or nil. Where that cannot be told, the answer counts, and the grade says so.
func (h *Host) strangerAtProbe(l *life, p services.Probe) *stranger {
	err := h.checkListener(l, p)
	var who *stranger
	if errors.As(err, &who) {
		return who
	}
	if err != nil && !h.unseen.Swap(true) {
		h.log.Warn("readiness is taken from the answer alone", "err", err)
	}
	return nil
}

// missed is a readiness probe that failed, with the remedy when there is one.
func missed(l *life, err error) engine.Event {
	ev := engine.Event{Kind: engine.ProbeFailed, Run: l.run, Err: err}
	var hint interface{ Hint() string }
	if errors.As(err, &hint) {
		ev.Evidence = map[string]string{"remedy": hint.Hint()}
	}
	return ev
}

func (h *Host) askOnce(l *life, u *unit, p services.Probe) error {
	if elsewhere.Asks(p) {
		return elsewhere.Check(l.ctx, p, h.secrets())
	}
	inst := u.instance()
	result := h.prober.Do(l.ctx, p, probe.Target{Addresses: inst.Addresses, Exec: h.execProbe(u, l)})
	if result.OK {
		return nil
	}
	return errors.New(result.Detail)
}

// pause waits; false if the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
