package database

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// ResetCloning forgets clones that a former worker did not see the end of.
func (db *DB) ResetCloning(ctx context.Context) error {
	_, err := db.pool.Exec(ctx, `UPDATE repos SET cloning = false, next_fetch_at = least(next_fetch_at, now()) WHERE cloning`)
	return notFound(err, "reset clones in progress")
}

// Move makes the repositories that belong to another gitserver than the one that fetched them last due at once. Those whose gitserver is none of shards any more
// count as not cloned until then. It gives the number of both.
func (db *DB) Move(ctx context.Context, shards []string, owner func(name string) string) (moving, lost int, err error) {
	all, err := db.Repos(ctx)
	if err != nil {
		return 0, 0, err
	}
	var due []int64
	for _, repo := range all {
		if repo.Shard == "" || repo.Shard == owner(repo.Name) {
			continue
		}
		due = append(due, repo.ID)
		if !slices.Contains(shards, repo.Shard) {
			lost++
		}
	}
	_, err = db.pool.Exec(ctx, `UPDATE repos SET next_fetch_at = least(next_fetch_at, now()), cloned = cloned AND shard = ANY($2) WHERE id = ANY($1)`, due, shards)
	return len(due), lost, notFound(err, "move repositories to other gitservers")
}

// ClaimDue takes up to n repositories that are due and moves them out of any other worker's reach for lease.
func (db *DB) ClaimDue(ctx context.Context, n int, lease time.Duration) ([]Repo, error) {
	return collectRepos(db.pool.Query(ctx, `UPDATE repos SET next_fetch_at = now() + $2, cloning = NOT cloned WHERE id IN (
			SELECT id FROM repos WHERE deleted_at IS NULL AND next_fetch_at <= now() ORDER BY cloned, next_fetch_at LIMIT $1 FOR UPDATE SKIP LOCKED)
		RETURNING `+repoColumns, n, lease))
}

// Renew keeps a claim for another lease.
func (db *DB) Renew(ctx context.Context, id int64, lease time.Duration) error {
	_, err := db.pool.Exec(ctx, `UPDATE repos SET next_fetch_at = now() + $2 WHERE id = $1`, id, lease)
	return notFound(err, "keep a claim")
}

// Fetched notes a good fetch by the gitserver shard, and when the next is due.
func (db *DB) Fetched(ctx context.Context, id int64, shard string, fetched, changed time.Time, bytes int64, next time.Duration) error {
	_, err := db.pool.Exec(ctx, `UPDATE repos SET cloned = true, cloning = false, shard = $2, last_fetched_at = $3, last_changed_at = $4, disk_bytes = $5,
		last_error = NULL, failures = 0, next_fetch_at = now() + $6 WHERE id = $1`, id, shard, fetched, changed, bytes, next)
	return notFound(err, "note a fetch")
}

// FetchFailed notes a failed fetch and when to try again. cloned says whether an older clone is still there.
func (db *DB) FetchFailed(ctx context.Context, id int64, cloned bool, why string, next time.Duration) error {
	_, err := db.pool.Exec(ctx, `UPDATE repos SET cloned = $2, cloning = false, last_error = $3, failures = failures + 1, next_fetch_at = now() + $4
		WHERE id = $1`, id, cloned, why, next)
	return notFound(err, "note a failed fetch")
}

// Release gives a claim back: the repository is due at once, for whoever comes next.
func (db *DB) Release(ctx context.Context, id int64) error {
	_, err := db.pool.Exec(ctx, `UPDATE repos SET cloning = false, next_fetch_at = now() WHERE id = $1`, id)
	return notFound(err, "give a claim back")
}

// Deleted lists repositories whose clones are still to be removed.
func (db *DB) Deleted(ctx context.Context) ([]Repo, error) {
	return collectRepos(db.pool.Query(ctx, `SELECT `+repoColumns+` FROM repos WHERE deleted_at IS NOT NULL ORDER BY id LIMIT 100`))
}

// Forget drops a deleted repository's row, unless it was added again meanwhile.
func (db *DB) Forget(ctx context.Context, id int64) error {
	_, err := db.pool.Exec(ctx, `DELETE FROM repos WHERE id = $1 AND deleted_at IS NOT NULL`, id)
	return notFound(err, "forget a repository")
}

// Listen sends to woken whenever repositories changed, until ctx ends or the connection is lost (an error). A full channel is left as it is.
func (db *DB) Listen(ctx context.Context, woken chan<- struct{}) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("listen for changes: %w", err)
	}
	raw := conn.Hijack() // a connection that listens never goes back
	defer raw.Close(context.WithoutCancel(ctx))
	if _, err := raw.Exec(ctx, `LISTEN `+wakeChannel); err != nil {
		return fmt.Errorf("listen for changes: %w", err)
	}
	for {
		if _, err := raw.WaitForNotification(ctx); err != nil {
			return fmt.Errorf("listen for changes: %w", err)
		}
		select {
		case woken <- struct{}{}:
		default:
		}
	}
}
