package supervisor

import (
	"context"
	"errors"
	"fmt"
	"reflect"
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
	var ready, live *question
	for l.ctx.Err() == nil {
		inst, news := u.definition(l)
		ready, live = ready.renew(inst.Ready), live.renew(inst.Live)
		q := sooner(ready, live)
		if !q.due(l.ctx, news) {
			continue
		}
		turned, err := q.ask(l, h, u)
		if l.ctx.Err() != nil {
			return
		}
		if err != nil {
			u.tally.Missed(q == live)
		}
		switch {
		case !turned:
		case q == live && err != nil:
			h.engine.Post(u.name, engine.Event{Kind: engine.Hung, Run: l.run, Err: fmt.Errorf("no sign of life: %w", err)})
		case q == ready && err != nil:
			h.engine.Post(u.name, missed(l, err))
		case q == ready:
			h.engine.Post(u.name, engine.Event{Kind: engine.ProbePassed, Run: l.run})
		}
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

// question is a probe that is asked again and again, and its answers in a row.
type question struct {
	probe  services.Probe
	every  time.Duration
	misses int
	limit  int
	next   time.Time
}

// newQuestion is nil for what cannot be asked twice.
func newQuestion(p *services.Probe) *question {
	if p == nil || p.Log != "" || p.Notify {
		return nil
	}
	every := orDefault(p.Every, defaultEvery)
	limit := p.Failures
	if limit == 0 {
		limit = defaultMisses
	}
	return &question{probe: *p, every: every, limit: limit, next: time.Now().Add(every)}
}

// renew is the same question as long as the probe is the same.
func (q *question) renew(p *services.Probe) *question {
	if q != nil && p != nil && reflect.DeepEqual(q.probe, *p) {
		return q
	}
	return newQuestion(p)
}

// due waits until it is time to ask; false if the run is over or there is news before. Without a question there is nothing but news.
func (q *question) due(ctx context.Context, news <-chan struct{}) bool {
	var at <-chan time.Time
	if q != nil {
		timer := time.NewTimer(time.Until(q.next))
		defer timer.Stop()
		at = timer.C
	}
	select {
	case <-at:
		return ctx.Err() == nil
	case <-news:
	case <-ctx.Done():
	}
	return false
}

// ask says whether the answer turned: bad for the limit-th time in a row, or good after that.
func (q *question) ask(l *life, h *Host, u *unit) (turned bool, err error) {
	err = h.askOnce(l, u, q.probe)
	q.next = time.Now().Add(q.every)
	if err != nil {
		q.misses++
		return q.misses == q.limit, err
	}
	turned = q.misses >= q.limit
	q.misses = 0
	return turned, nil
}

func sooner(a, b *question) *question {
	if a == nil || b != nil && b.next.Before(a.next) {
		return b
	}
	return a
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
