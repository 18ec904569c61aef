package searcher

import (
	"context"
	"sync"
)

// batch is a run of files that one worker searches.
type batch struct {
	from, to int // indexes into the archive's files
	result   chan batchResult
}

type batchResult struct {
	matches []FileMatch
	summary Summary
	err     error
}

// scan searches the archive from its file number from on. When it fails, next is the file to go on from: all before it is told.
func (s *Searcher) scan(ctx context.Context, a *archive, q *query, from int, o *output, idle func()) (next int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait() // they read from the archive, which the caller closes
	defer cancel()
	order := make(chan *batch, 2*cap(s.slots))
	workers.Go(func() {
		defer close(order)
		s.deal(ctx, a, q, from, order, &workers)
	})
	for b := range order {
		r := await(b.result, idle)
		if r.err != nil {
			return b.from, r.err
		}
		if err := o.take(r); err != nil {
			return b.from, err
		}
	}
	return len(a.files), ctx.Err()
}

// await waits for a result, and calls idle first if there is none yet.
func await(result <-chan batchResult, idle func()) batchResult {
	select {
	case r := <-result:
		return r
	default:
		idle()
		return <-result
	}
}

// deal hands out the files in batches, a bounded number ahead of what was told.
func (s *Searcher) deal(ctx context.Context, a *archive, q *query, from int, order chan<- *batch, workers *sync.WaitGroup) {
	for from < len(a.files) {
		b := &batch{from: from, to: from, result: make(chan batchResult, 1)}
		for size := int64(0); b.to < len(a.files) && b.to-b.from < batchFiles && size < batchBytes; b.to++ {
			size += a.files[b.to].size
		}
		from = b.to
		select {
		case order <- b:
		case <-ctx.Done():
			return
		}
		workers.Go(func() { b.result <- s.search(ctx, a, q, b) })
	}
}

// search searches one batch, in one of the slots.
func (s *Searcher) search(ctx context.Context, a *archive, q *query, b *batch) batchResult {
	var buffers *scratch
	select {
	case buffers = <-s.slots:
	case <-ctx.Done():
		return batchResult{err: ctx.Err()}
	}
	defer func() {
		if cap(buffers.content)+cap(buffers.folded) > keepScratch {
			*buffers = scratch{}
		}
		s.slots <- buffers
	}()
	var r batchResult
	for _, f := range a.files[b.from:b.to] {
		if r.err = ctx.Err(); r.err != nil {
			break
		}
		if !q.takes(f.path) {
			continue
		}
		if r.err = r.look(a, q, f, buffers); r.err != nil {
			break
		}
	}
	return r
}

// look searches one file.
func (r *batchResult) look(a *archive, q *query, f file, buffers *scratch) (err error) {
	if q.byPath() {
		r.summary.FilesSearched++
		if q.pattern.matches([]byte(f.path)) {
			r.matches = append(r.matches, FileMatch{Path: f.path})
		}
		return nil
	}
	switch f.kind {
	case kindBinary:
		r.summary.Skipped.Binary++
		return nil
	case kindTooBig:
		r.summary.Skipped.TooBig++
		r.summary.Skipped.Largest = append(r.summary.Skipped.Largest, f.path)
		return nil
	case kindLink:
		return nil
	}
	r.summary.FilesSearched++
	if buffers.content, err = a.content(f, buffers.content); err != nil {
		return err
	}
	folded := buffers.content
	if q.pattern.fold {
		buffers.folded = lower(buffers.folded, buffers.content)
		folded = buffers.folded
	}
	hits := q.pattern.find(buffers.content, folded, q.Limit)
	r.summary.LimitHit = r.summary.LimitHit || hits.more
	if len(hits.lines) > 0 {
		r.matches = append(r.matches, FileMatch{Path: f.path, Lines: hits.lines})
	}
	return nil
}

// take tells a batch's matches and adds up what was looked at.
func (o *output) take(r batchResult) error {
	for _, m := range r.matches {
		if err := o.match(m); err != nil {
			return err
		}
	}
	o.summary.add(r.summary)
	return nil
}

func (s *Summary) add(t Summary) {
	s.LimitHit = s.LimitHit || t.LimitHit
	s.FilesSearched += t.FilesSearched
	s.Skipped.Binary += t.Skipped.Binary
	s.Skipped.TooBig += t.Skipped.TooBig
	room := namesMax - len(s.Skipped.Largest)
	s.Skipped.Largest = append(s.Skipped.Largest, t.Skipped.Largest[:min(room, len(t.Skipped.Largest))]...)
}
