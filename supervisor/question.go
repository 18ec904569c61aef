package supervisor

import (
	"context"
	"reflect"
	"time"

	"github.com/sourcegraph/appliance/services"
)

// question is a probe that is asked again and again, and its answers in a row.
type question struct {
	probe  services.Probe
	every  time.Duration
	misses int
	limit  int
	next   time.Time
}

// newQuestion is nil for what cannot be asked twice.
func newQuestion(p *services.Probe, now time.Time) *question {
	if p == nil || p.Log != "" || p.Notify {
		return nil
	}
	every := orDefault(p.Every, defaultEvery)
	limit := p.Failures
	if limit == 0 {
		limit = defaultMisses
	}
	return &question{probe: *p, every: every, limit: limit, next: commonTick(now, every)}
}

// commonTick is the next moment at which everything is asked that is asked that often, so that an idle supervisor wakes up once for all.
// Most of what a lone probe costs is the waking.
func commonTick(now time.Time, every time.Duration) time.Time {
	return now.Add(every - time.Duration(now.UnixNano())%every)
}

// renew is the same question as long as the probe is the same.
func (q *question) renew(p *services.Probe, now time.Time) *question {
	if q != nil && p != nil && reflect.DeepEqual(q.probe, *p) {
		return q
	}
	return newQuestion(p, now)
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

// sharesWith says that one answer serves both: they ask the same, as patiently, at the same time.
func (q *question) sharesWith(o *question) bool {
	if q == nil || o == nil || !q.next.Equal(o.next) {
		return false
	}
	a, b := q.probe, o.probe
	a.Every, b.Every, a.Failures, b.Failures = 0, 0, 0, 0
	return reflect.DeepEqual(a, b)
}

// answered says whether the answer of now turned: bad for the limit-th time in a row, or good after that. A run that does not answer
// has all of its interval to recover, so it is asked between the common ticks.
func (q *question) answered(err error, now time.Time) (turned bool) {
	if err != nil {
		q.misses++
		q.next = now.Add(q.every)
		return q.misses == q.limit
	}
	turned = q.misses >= q.limit
	q.misses, q.next = 0, commonTick(now, q.every)
	return turned
}

func sooner(a, b *question) *question {
	if a == nil || b != nil && b.next.Before(a.next) {
		return b
	}
	return a
}
