package searcher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const ending = ".archive"

// Fetch opens the tar stream of a commit.
type Fetch func(ctx context.Context, repo, commit string) (io.ReadCloser, error)

// Cache keeps archives of commits on disk. What it holds survives a restart; all of it can be made again.
type Cache struct {
	dir   string
	max   int64
	fetch Fetch
	log   *slog.Logger

	mu      sync.Mutex
	entries map[string]entry     // by file name
	bytes   int64                // of all entries
	fetches map[string]*fetching // by file name
}

type entry struct {
	size int64
	used time.Time
}

// OpenCache takes the directory, made if need be, with the archives in it; half written ones are removed. max is in bytes: the least recently used
// archives go when all together are larger. One that alone is larger stays until the next one comes.
func OpenCache(dir string, max int64, fetch Fetch, log *slog.Logger) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	c := &Cache{dir: dir, max: max, fetch: fetch, log: log, entries: map[string]entry{}, fetches: map[string]*fetching{}}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	for _, f := range files {
		if err := c.adopt(f); err != nil {
			return nil, fmt.Errorf("open the cache: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.evictLocked(c.max)
	return c, nil
}

func (c *Cache) adopt(f fs.DirEntry) error {
	path := filepath.Join(c.dir, f.Name())
	switch {
	case strings.Contains(f.Name(), ending+".new"):
		return os.Remove(path) // an earlier process did not finish it
	case !strings.HasSuffix(f.Name(), ending):
		return nil // not ours
	}
	info, err := f.Info()
	if err != nil {
		return err
	}
	c.entries[f.Name()] = entry{size: info.Size(), used: info.ModTime()}
	c.bytes += info.Size()
	return nil
}

// Bytes is the size of all archives together.
func (c *Cache) Bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}

// open gives the archive of a commit, from disk or from gitserver. The caller closes it.
func (c *Cache) open(ctx context.Context, repo, commit string) (*archive, error) {
	key := repo + "@" + commit
	name := fileName(key)
	for {
		a, err := openArchive(filepath.Join(c.dir, name), key)
		switch {
		case err == nil:
			c.touch(name)
			return a, nil
		case errors.Is(err, errDamaged):
			c.discard(name, err)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("open the archive of %s: %w", key, err)
		}
		a, err = c.join(ctx, name, repo, commit)
		if err != nil || a != nil {
			return a, err
		}
	}
}

func fileName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:]) + ending
}

// touch remembers the use, also on disk, for the order of eviction after a restart.
func (c *Cache) touch(name string) {
	now := time.Now()
	if err := os.Chtimes(filepath.Join(c.dir, name), time.Time{}, now); err != nil {
		c.log.Debug("note the use of an archive", "file", name, "error", err) // evicted meanwhile, or a read-only disk
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.entries[name]; ok {
		e.used = now
		c.entries[name] = e
	}
}

// discard removes a damaged archive.
func (c *Cache) discard(name string, cause error) {
	c.log.Warn("an archive of the cache is damaged and is fetched again", "file", name, "error", cause)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeLocked(name)
}

func (c *Cache) removeLocked(name string) {
	if err := os.Remove(filepath.Join(c.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("remove an archive from the cache", "file", name, "error", err)
	}
	c.bytes -= c.entries[name].size
	delete(c.entries, name)
}

// evictLocked removes the least recently used archives until what is left fits into goal bytes, or is one.
func (c *Cache) evictLocked(goal int64) {
	for c.bytes > goal && len(c.entries) > 1 {
		oldest := ""
		for name, e := range c.entries {
			if oldest == "" || e.used.Before(c.entries[oldest].used) {
				oldest = name
			}
		}
		c.removeLocked(oldest)
	}
}

// store fetches an archive and puts it in place.
func (c *Cache) store(ctx context.Context, name, repo, commit string) error {
	size, err := c.insist(ctx, name, repo, commit)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes += size - c.entries[name].size
	c.entries[name] = entry{size: size, used: time.Now()}
	c.evictLocked(c.max)
	return nil
}

// insist tries again when the stream broke off (gitserver was restarted), and once after half of the cache has gone when the disk is full.
func (c *Cache) insist(ctx context.Context, name, repo, commit string) (int64, error) {
	evicted := false
	for try := 1; ; try++ {
		size, err := c.download(ctx, name, repo, commit)
		switch {
		case err == nil || ctx.Err() != nil || try == tries:
			return size, err
		case errors.Is(err, io.ErrUnexpectedEOF):
			c.log.Warn("an archive broke off", "repo", repo, "commit", commit, "try", try, "error", err)
		case errors.Is(err, syscall.ENOSPC) && !evicted:
			c.log.Warn("the disk is full, evicting half of the cache", "dir", c.dir)
			evicted = true
			c.mu.Lock()
			c.evictLocked(c.bytes / 2)
			c.mu.Unlock()
		default:
			return size, err
		}
	}
}

// download writes beside and renames. There is no fsync: what a power cut damages is found by its checksums.
func (c *Cache) download(ctx context.Context, name, repo, commit string) (size int64, err error) {
	body, err := c.fetch(ctx, repo, commit)
	if err != nil {
		return 0, fmt.Errorf("fetch the archive of %s@%s: %w", repo, commit, err)
	}
	defer body.Close()
	tmp, err := os.CreateTemp(c.dir, name+".new-")
	if err != nil {
		return 0, fmt.Errorf("write the archive of %s@%s: %w", repo, commit, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(tmp.Name()))
		}
	}()
	err = writeArchive(tmp, body, repo+"@"+commit)
	size, seekErr := tmp.Seek(0, io.SeekEnd)
	if err := errors.Join(err, seekErr, tmp.Close()); err != nil {
		return 0, err
	}
	if err := os.Rename(tmp.Name(), filepath.Join(c.dir, name)); err != nil {
		return 0, fmt.Errorf("put the archive of %s@%s in place: %w", repo, commit, err)
	}
	return size, nil
}
