package gitserver

import (
	"context"
	"fmt"
	"sync/atomic"
)

// flight is one change of one clone. While it lasts, nothing else writes there; whoever wants the same waits for it.
type flight struct {
	remote   remote // zero for the janitor's work and for a removal
	cloning  bool
	cancel   context.CancelCauseFunc
	done     chan struct{}
	progress atomic.Value // string, git's last words

	result UpdateResult // valid once done is closed
	err    error
}

func (f *flight) say(line string) { f.progress.Store(line) }

func (f *flight) lastWords() string {
	words, _ := f.progress.Load().(string)
	return words
}

// wait waits for the end of the flight, not longer than ctx.
func (f *flight) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the end of an update: %w", context.Cause(ctx))
	}
}

// board starts a flight that does work, or finds the one that is under way; mine says which.
func (s *Store) board(name string, rem remote, work func(context.Context, *flight) (UpdateResult, error)) (f *flight, mine bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, false, &Error{Code: ErrStopped, Text: "gitserver is stopping"}
	}
	r := s.repoLocked(name)
	if r.flight != nil {
		return r.flight, false, nil
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	f = &flight{remote: rem, cancel: cancel, done: make(chan struct{}), cloning: rem != remote{} && !s.present(name)}
	r.flight = f
	s.working.Go(func() {
		defer cancel(nil)
		f.result, f.err = work(ctx, f)
		s.land(name, r, f)
	})
	return f, true, nil
}

func (s *Store) land(name string, r *repo, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.flight = nil
	if f.remote != (remote{}) {
		r.lastError = ""
		if f.err != nil {
			r.lastError = f.err.Error()
		}
	}
	if r.lastError == "" && r.remote == (remote{}) {
		delete(s.repos, name) // nothing to remember
	}
	close(f.done)
}

// alone runs work once nothing else writes to the clone. What is under way is cancelled with cause, or waited for when cause is nil.
func (s *Store) alone(ctx context.Context, name string, cause error, work func(context.Context) error) error {
	for {
		f, mine, err := s.board(name, remote{}, func(ctx context.Context, _ *flight) (UpdateResult, error) {
			return UpdateResult{}, work(ctx)
		})
		if err != nil {
			return err
		}
		if !mine && cause != nil {
			f.cancel(cause)
		}
		if err := f.wait(ctx); err != nil {
			return err
		}
		if mine {
			return f.err
		}
	}
}
