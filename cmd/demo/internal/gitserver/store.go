package gitserver

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	tmpName = ".tmp"
	ownName = ".gitserver"
)

// Limits bound what one store does at a time, and for how long. Start from [DefaultLimits].
type Limits struct {
	Updates int           // clones and fetches at a time
	Reads   int           // other git processes at a time
	Quick   time.Duration // for a question that git answers from its index
	Long    time.Duration // for a clone, a fetch or a check of a whole clone
	Stall   time.Duration // for a clone or fetch that says nothing
	Lock    time.Duration // a lock file older than this, with no command of ours at work, was left by a killed git
	Debris  time.Duration // the same for half written packs
}

// DefaultLimits are for a machine of a few cores: as many clones at a time as Sourcegraph's gitMaxConcurrentClones, one hour for each.
func DefaultLimits() Limits {
	return Limits{Updates: 5, Reads: 32, Quick: time.Minute, Long: time.Hour, Stall: 10 * time.Minute, Lock: time.Minute, Debris: time.Hour}
}

// Store is a directory of clones. One process at a time has it open.
type Store struct {
	root   string
	git    *runner
	limits Limits
	log    *slog.Logger
	lock   *os.File
	shards shards

	ctx     context.Context // of everything that runs in the background
	stop    context.CancelFunc
	working sync.WaitGroup
	updates chan struct{} // slots
	reads   chan struct{}

	stateMu sync.Mutex // over reading and writing a state file

	mu    sync.Mutex
	repos map[string]*repo // those with something to remember beyond the disk
}

// repo is what is known of a repository in memory. The store's mu guards it.
type repo struct {
	flight    *flight // the one that writes to the clone now, or nil
	remote    remote  // the last one asked for, for a repair; zero if unknown since the start
	lastError string
}

// Open takes the directory, makes it if need be, and removes what an earlier process left half done.
// The error names the process that has the directory already, if one has.
func Open(root string, limits Limits, log *slog.Logger) (*Store, error) {
	path, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("find git: %w", err)
	}
	root, err = filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open the repositories in %q: %w", root, err)
	}
	own := filepath.Join(root, ownName)
	if err := os.MkdirAll(own, 0o700); err != nil {
		return nil, fmt.Errorf("open the repositories in %s: %w", root, err)
	}
	lock, err := lockDir(own)
	if err != nil {
		return nil, err
	}
	config, err := prepare(root, own)
	if err != nil {
		lock.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Store{
		root: root, limits: limits, log: log, lock: lock, ctx: ctx, stop: stop,
		git:     &runner{path: path, env: environment(config, os.LookupEnv), running: map[int]struct{}{}},
		updates: make(chan struct{}, limits.Updates), reads: make(chan struct{}, limits.Reads),
		repos: map[string]*repo{},
	}, nil
}

// prepare empties the temporary directory: nothing in it was ever in place.
func prepare(root, own string) (config string, err error) {
	tmp := filepath.Join(root, tmpName)
	if err := os.RemoveAll(tmp); err != nil {
		return "", fmt.Errorf("remove what an earlier process left in %s: %w", tmp, err)
	}
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return "", fmt.Errorf("make the temporary directory: %w", err)
	}
	return writeGitConfig(own)
}

// lockDir takes the instance lock. It ends with the process, however that ends.
func lockDir(own string) (*os.File, error) {
	path := filepath.Join(own, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the repositories: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path) // only to say it
		f.Close()
		return nil, &Locked{Path: path, Holder: string(holder)}
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "pid %d", os.Getpid())
	}
	return f, nil
}

// Locked says that another process has the directory.
type Locked struct{ Path, Holder string }

func (l *Locked) Error() string {
	return fmt.Sprintf("lock %s: another gitserver (%s) has these repositories", l.Path, l.Holder)
}

// Hint names the setting.
func (l *Locked) Hint() string { return "stop it first, or give this one another SRC_REPOS_DIR" }

// Close ends everything in the background, waits for the end, and gives the directory free.
func (s *Store) Close() error {
	s.mu.Lock() // so that nobody adds to working any more
	s.stop()
	s.mu.Unlock()
	s.working.Wait()
	return s.lock.Close()
}

// kill ends all git processes without waiting.
func (s *Store) kill() { s.git.killAll() }

// repoLocked is the memory of a repository, made when there is none.
func (s *Store) repoLocked(name string) *repo {
	r := s.repos[name]
	if r == nil {
		r = &repo{}
		s.repos[name] = r
	}
	return r
}

// present says whether something lies where the clone belongs; whole, whether it has what a clone cannot be without.
func (s *Store) present(name string) bool {
	_, err := os.Lstat(cloneDir(s.root, name))
	return err == nil
}

func whole(dir string) bool {
	for _, part := range []string{"HEAD", "objects", "refs", "config"} {
		if _, err := os.Stat(filepath.Join(dir, part)); err != nil {
			return false
		}
	}
	return true
}

func (s *Store) tempDir(kind string) (string, error) {
	dir, err := os.MkdirTemp(filepath.Join(s.root, tmpName), kind+"-")
	if err != nil {
		return "", fmt.Errorf("make a temporary directory: %w", err)
	}
	return dir, nil
}

// acquire takes a slot, or ctx's error.
func acquire(ctx context.Context, slots chan struct{}) (release func(), err error) {
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
