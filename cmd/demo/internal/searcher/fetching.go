package searcher

import (
	"context"
	"fmt"
	"path/filepath"
)

// fetching is one archive on its way. It ends early when everyone who waits has gone.
type fetching struct {
	waiting int // guarded by the cache's mu
	cancel  context.CancelFunc
	done    chan struct{}
	archive *archive // opened by the fetch, so that an eviction cannot take it away first; the last waiter takes it
	err     error
}

// join starts a fetch or waits for the one under way. It gives neither archive nor error to a waiter who has to look on disk himself.
func (c *Cache) join(ctx context.Context, name, repo, commit string) (*archive, error) {
	f := c.board(name, repo, commit)
	select {
	case <-f.done:
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f.waiting--
	select {
	case <-f.done:
		if f.err != nil {
			return nil, f.err
		}
		if f.waiting == 0 {
			a := f.archive
			f.archive = nil
			return a, nil
		}
		return nil, nil
	default: // only ctx has ended
		if f.waiting == 0 {
			f.cancel()
			if c.fetches[name] == f {
				delete(c.fetches, name) // the next one starts anew
			}
		}
		return nil, fmt.Errorf("wait for the archive of %s@%s: %w", repo, commit, context.Cause(ctx))
	}
}

func (c *Cache) board(name, repo, commit string) *fetching {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.fetches[name]; f != nil {
		f.waiting++
		return f
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &fetching{waiting: 1, cancel: cancel, done: make(chan struct{})}
	c.fetches[name] = f
	go func() {
		defer cancel()
		f.err = c.store(ctx, name, repo, commit)
		if f.err == nil {
			f.archive, f.err = openArchive(filepath.Join(c.dir, name), repo+"@"+commit)
		}
		c.land(name, f)
	}()
	return f
}

func (c *Cache) land(name string, f *fetching) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fetches[name] == f {
		delete(c.fetches, name)
	}
	if f.waiting == 0 && f.archive != nil { // everyone went
		f.archive.Close()
		f.archive = nil
	}
	close(f.done)
}
