package worker

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/sourcegraph/appliance/cmd/demo/internal/database"
)

// note is how long the result of a fetch may take to reach the database while we are stopping.
const note = 5 * time.Second

// fetch updates one repository and notes how it went. A fetch that our own stop interrupts is given back.
func (s *Scheduler) fetch(ctx context.Context, repo database.Repo) {
	fetching, done := context.WithCancel(ctx)
	go s.keepClaim(fetching, repo.ID)
	result, fetchErr := s.Git.Update(fetching, repo.Name, repo.CloneURL, repo.Shard)
	done()
	noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), note)
	defer cancel()
	if ctx.Err() != nil && fetchErr != nil { // the gitserver may be stopping, too: it is not asked
		if err := s.DB.Release(noting, repo.ID); err != nil {
			s.Log.Warn("give a claim back", "repo", repo.Name, "error", err)
		}
		return
	}
	var err error
	switch status, statusErr := s.Git.Status(noting, repo.Name); {
	case fetchErr != nil:
		cloned := status.Cloned || statusErr != nil && repo.Cloned
		if repo.Shard != "" && repo.Shard != result.Shard { // it was to move
			cloned = repo.Cloned
		}
		s.Log.Warn("fetch", "repo", repo.Name, "failures", repo.Failures+1, "error", fetchErr)
		err = s.DB.FetchFailed(noting, repo.ID, cloned, message(fetchErr), retryAfter(int(repo.Failures)))
	default:
		err = s.DB.Fetched(noting, repo.ID, result.Shard, result.LastFetched, result.LastChanged, status.DiskBytes, jitter(s.Interval))
	}
	if err != nil {
		s.Log.Warn("note a fetch", "repo", repo.Name, "error", err) // the claim ends with its lease, and then it is due again
	}
}

// message is what the user is shown: the error and its remedy.
func message(err error) string {
	if h, ok := err.(interface{ Hint() string }); ok && h.Hint() != "" {
		return err.Error() + "; " + h.Hint()
	}
	return err.Error()
}

// keepClaim renews the claim of a long clone until ctx ends.
func (s *Scheduler) keepClaim(ctx context.Context, id int64) {
	tick := time.NewTicker(lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.DB.Renew(ctx, id, lease); err != nil && ctx.Err() == nil {
				s.Log.Warn("keep a claim", "repo_id", id, "error", err)
			}
		}
	}
}

// retryAfter doubles with every failure in a row.
func retryAfter(failures int) time.Duration {
	return jitter(min(firstRetry<<min(failures, 12), longestRetry))
}

// jitter spreads by a tenth either way, so that what began together does not stay together.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}
