package store

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// Events yields the events that q selects, oldest first; following, until ctx ends. It never holds Append up: a follower that
// is too slow gets an event that says how many it has missed.
//
// While the store cannot be opened, or its disk is full, only what is in memory is there.
func (s *Store) Events(ctx context.Context, q api.EventQuery) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		history, next, err := s.past(ctx, q)
		if err != nil {
			yield(api.Event{}, err)
			return
		}
		for e, err := range history {
			if !yield(e, err) || err != nil {
				return
			}
		}
		if q.Follow {
			s.follow(ctx, q, next, yield)
		}
	}
}

// past is what is there now; next is the place of the first event after it.
func (s *Store) past(ctx context.Context, q api.EventQuery) (history iter.Seq2[api.Event, error], next uint64, err error) {
	if s.opening() {
		if err := s.waitOpen(ctx); err != nil {
			return nil, 0, fmt.Errorf("read events: %w", err)
		}
	}
	db, release, err := s.use() // before looking at memory: everything there has a key then
	s.mu.Lock()
	next = s.first + uint64(len(s.recent))
	if err != nil || s.fs.broken.Load() {
		memory := append([]entry(nil), s.recent...)
		s.mu.Unlock()
		if err == nil {
			release()
		}
		return newest(q, ofMemory(q, memory)), next, nil
	}
	unwritten := append([]entry(nil), s.recent[s.written+1-s.first:]...)
	s.mu.Unlock()
	var upTo []byte
	if len(unwritten) > 0 {
		upTo = unwritten[0].key.bytes() // the writer may be about to write it
	} else {
		upTo = eventsTo()
	}
	return func(yield func(api.Event, error) bool) {
		defer release()
		for e, err := range newest(q, both(ofDisk(ctx, db, q, upTo), ofMemory(q, unwritten))) {
			if !yield(e, err) {
				return
			}
		}
	}, next, nil
}

// opening says whether it makes sense to wait: opening was asked for and has met no trouble.
func (s *Store) opening() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started && s.db == nil && s.stats.LastError == nil && !s.closed
}

func both(a, b iter.Seq2[api.Event, error]) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		for e, err := range a {
			if !yield(e, err) {
				return
			}
		}
		b(yield)
	}
}

func ofMemory(q api.EventQuery, entries []entry) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		for _, e := range entries {
			if selects(q, e.event) && !yield(e.event, nil) {
				return
			}
		}
	}
}

func ofDisk(ctx context.Context, db *pebble.DB, q api.EventQuery, upTo []byte) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		from := eventsFrom()
		if !q.Since.IsZero() {
			from = key{milli: q.Since.UnixMilli()}.bytes() // a key is never before its event
		}
		it, err := db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: from, UpperBound: upTo})
		if err != nil {
			yield(api.Event{}, fmt.Errorf("read events: %w", err))
			return
		}
		defer it.Close()
		for ok := it.First(); ok; ok = it.Next() {
			if ctx.Err() != nil {
				yield(api.Event{}, fmt.Errorf("read events: %w", ctx.Err()))
				return
			}
			e, err := decode(it.Value())
			if err != nil {
				yield(api.Event{}, fmt.Errorf("read event %x: %w", it.Key(), err))
				return
			}
			if selects(q, e) && !yield(e, nil) {
				return
			}
		}
		if err := it.Error(); err != nil {
			yield(api.Event{}, fmt.Errorf("read events: %w", err))
		}
	}
}

// newest keeps the last q.Limit events; all if there is no limit.
func newest(q api.EventQuery, all iter.Seq2[api.Event, error]) iter.Seq2[api.Event, error] {
	if q.Limit <= 0 {
		return all
	}
	return func(yield func(api.Event, error) bool) {
		var ring []api.Event
		n := 0
		for e, err := range all {
			if err != nil {
				yield(e, err)
				return
			}
			if len(ring) < q.Limit {
				ring = append(ring, e)
			} else {
				ring[n%q.Limit] = e
			}
			n++
		}
		for i := range ring {
			if !yield(ring[(max(n, q.Limit)-q.Limit+i)%q.Limit], nil) {
				return
			}
		}
	}
}

func selects(q api.EventQuery, e api.Event) bool {
	if !q.Since.IsZero() && e.At.Before(q.Since) || !q.Until.IsZero() && e.At.After(q.Until) {
		return false
	}
	if len(q.Services) == 0 {
		return true
	}
	return slices.ContainsFunc(q.Services, func(s string) bool {
		return names(s, e.Service) || slices.ContainsFunc(e.Services, func(of string) bool { return names(s, of) })
	})
}

// names says whether what a person typed, a service or an instance, means this instance.
func names(typed, instance string) bool {
	return instance == typed || strings.HasPrefix(instance, typed+"/") || typed == instance+"/0"
}

// follow yields events from place next on.
func (s *Store) follow(ctx context.Context, q api.EventQuery, next uint64, yield func(api.Event, error) bool) {
	for {
		s.mu.Lock()
		first, changed := s.first, s.changed
		var fresh []entry
		if from := max(next, first) - first; from < uint64(len(s.recent)) {
			fresh = append(fresh, s.recent[from:]...)
		}
		s.mu.Unlock()
		if first > next {
			missed := api.Event{At: api.Time{Time: s.o.Clock()}, Kind: "appliance", Message: fmt.Sprintf("%d events are missing here: this reader was too slow", first-next)}
			if !yield(missed, nil) {
				return
			}
			next = first
		}
		next += uint64(len(fresh))
		for _, e := range fresh {
			if selects(q, e.event) && !yield(e.event, nil) {
				return
			}
		}
		if len(fresh) > 0 {
			continue
		}
		if !q.Until.IsZero() && s.o.Clock().After(q.Until) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.stop:
			return
		case <-changed:
		}
	}
}
