package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
)

const (
	parallel     = 4                // fetches at once
	lease        = 2 * time.Minute  // a claim that is not renewed ends then
	poll         = 2 * time.Second  // between looks for what is due, beside being woken
	syncEvery    = time.Minute      // between comparisons with the code hosts' configurations
	listenAgain  = 2 * time.Second  // after the database was lost
	firstRetry   = 5 * time.Second  // after the first failure in a row; doubles
	longestRetry = 30 * time.Minute // between attempts
)

// Git is the part of gitserver's client that the scheduler needs.
type Git interface {
	Update(ctx context.Context, repo, cloneURL, holder string) (gitserver.UpdateResult, error)
	Status(ctx context.Context, repo string) (gitserver.RepoStatus, error)
	Remove(ctx context.Context, repo string) error
}

// Scheduler keeps the clones fresh. Log may be slog.Default().
type Scheduler struct {
	DB       *database.DB
	Git      Git
	Servers  []string      // the gitservers, each repository belongs to one of them
	Interval time.Duration // between fetches of a repository
	Log      *slog.Logger
}

// Run works until ctx ends. A database that is away for a while is waited for.
func (s *Scheduler) Run(ctx context.Context) error {
	woken := make(chan struct{}, 1)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { s.every(ctx, syncEvery, nil, s.syncServices); return nil })
	g.Go(func() error { s.listen(ctx, woken); return nil })
	g.Go(func() error { s.every(ctx, poll, nil, s.removeDeleted); return nil })
	g.Go(func() error { s.loop(ctx, woken); return nil })
	return g.Wait()
}

// every calls do at once, then after each interval or wake, until ctx ends. Errors are logged: the next round tries again.
func (s *Scheduler) every(ctx context.Context, interval time.Duration, wake <-chan struct{}, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("background work", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-tick.C:
		}
	}
}

func (s *Scheduler) listen(ctx context.Context, woken chan<- struct{}) {
	s.every(ctx, listenAgain, nil, func(ctx context.Context) error { return s.DB.Listen(ctx, woken) })
}

// loop claims what is due for free slots and fetches it beside the loop.
func (s *Scheduler) loop(ctx context.Context, woken chan struct{}) {
	slots := make(chan struct{}, parallel)
	var running sync.WaitGroup
	defer running.Wait()
	reset := false
	s.every(ctx, poll, woken, func(ctx context.Context) error {
		if !reset {
			if err := s.begin(ctx); err != nil {
				return err
			}
			reset = true
		}
		free := cap(slots) - len(slots)
		if free == 0 {
			return nil // a slot that becomes free wakes us
		}
		due, err := s.DB.ClaimDue(ctx, free, lease)
		if err != nil {
			return err
		}
		for _, repo := range due {
			slots <- struct{}{}
			running.Go(func() {
				s.fetch(ctx, repo)
				<-slots
				select {
				case woken <- struct{}{}:
				default:
				}
			})
		}
		return nil
	})
}

// begin makes due what a former worker left half done, and what other gitservers than before are to have.
func (s *Scheduler) begin(ctx context.Context) error {
	if err := s.DB.ResetCloning(ctx); err != nil || len(s.Servers) == 0 {
		return err
	}
	moving, lost, err := s.DB.Move(ctx, s.Servers, func(name string) string { return gitserver.Rendezvous(name, s.Servers)[0] })
	if moving > 0 {
		s.Log.Warn("the gitservers are others than before: repositories move", "repos", moving, "without_their_old_gitserver", lost, "gitservers", len(s.Servers))
	}
	return err
}

// removeDeleted removes clones from all gitservers, and then the row. A gitserver that is away holds up no other repository.
func (s *Scheduler) removeDeleted(ctx context.Context) error {
	deleted, err := s.DB.Deleted(ctx)
	if err != nil {
		return err
	}
	var faults []error
	for _, repo := range deleted {
		if err := s.Git.Remove(ctx, repo.Name); err != nil {
			faults = append(faults, err)
			continue
		}
		faults = append(faults, s.DB.Forget(ctx, repo.ID))
	}
	return errors.Join(faults...)
}
