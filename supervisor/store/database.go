package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// pebbleOptions are for a few events a second and as little memory as Pebble can do with.
func pebbleOptions(pfs *patientFS) *pebble.Options {
	o := &pebble.Options{
		FS:                          pfs,
		FormatMajorVersion:          pebble.FormatNewest,
		CacheSize:                   128 << 10,
		MemTableSize:                256 << 10,
		MemTableStopWritesThreshold: 2,
		MaxOpenFiles:                32,
		MaxManifestFileSize:         256 << 10,
		L0CompactionThreshold:       2,
		LBaseMaxBytes:               4 << 20,
		DisableTableStats:           true,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      quiet{pfs},
	}
	o.Experimental.FileCacheShards = 1
	// Pebble's own choice wakes up ten times a second, to see whether more compactions are allowed by now: most of what an idle supervisor
	// cost. It matters only where that number changes; here it is one, and the end of a compaction lets the next one begin.
	o.Experimental.CompactionScheduler = pebble.NewConcurrencyLimitSchedulerWithNoPeriodicGrantingForTest()
	return o
}

// quiet is Pebble's logger. Only what is fatal concerns us.
type quiet struct{ fs *patientFS }

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

// Fatalf must not return, and must not take the supervisor along: it ends the goroutine. The database is not touched any more.
func (q quiet) Fatalf(format string, args ...any) {
	q.fs.broken.Store(true)
	q.fs.report(fmt.Errorf("the event store is out of use until the next start: "+format, args...))
	runtime.Goexit()
}

// openDB opens the database in dir, or begins a new one where what is there cannot be read (E67). last is the key of the last event.
func openDB(dir string, pfs *patientFS, o Options) (db *pebble.DB, last key, err error) {
	db, last, err = tryOpen(dir, pfs)
	if err == nil || ofMachine(err) {
		return db, last, err
	}
	aside := dir + ".unreadable-" + o.Clock().UTC().Format("20060102T150405.000Z")
	if rerr := pfs.Rename(dir, aside); rerr != nil {
		return nil, key{}, errors.Join(err, rerr)
	}
	o.Report(fmt.Errorf("the event store was not readable, it is now %s: %w", filepath.Base(aside), err))
	return tryOpen(dir, pfs)
}

// ofMachine tells trouble with the machine, which passes, from trouble with the files, which does not.
func ofMachine(err error) bool {
	for _, e := range []error{
		fs.ErrPermission, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.EAGAIN, syscall.EMFILE, syscall.ENFILE,
		syscall.ENOMEM, syscall.ENOTDIR, errClosed,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// tryOpen opens in a goroutine of its own, as Pebble may panic, or call Fatalf, on what it reads.
func tryOpen(dir string, pfs *patientFS) (db *pebble.DB, last key, err error) {
	ended := make(chan struct{})
	err = errors.New("it is not consistent")
	go func() {
		defer close(ended)
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("%v", r)
			}
		}()
		db, last, err = open(dir, pfs)
	}()
	<-ended
	if err != nil {
		return nil, key{}, fmt.Errorf("open event store %s: %w", dir, err)
	}
	return db, last, nil
}

func open(dir string, pfs *patientFS) (*pebble.DB, key, error) {
	pfs.broken.Store(false)
	if err := pfs.MkdirAll(dir, 0o700); err != nil {
		return nil, key{}, err
	}
	db, err := pebble.Open(dir, pebbleOptions(pfs))
	if err != nil {
		return nil, key{}, err
	}
	last, err := lastKey(db)
	if err != nil {
		return nil, key{}, errors.Join(err, db.Close())
	}
	return db, last, nil
}

func lastKey(db *pebble.DB) (key, error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: eventsFrom(), UpperBound: eventsTo()})
	if err != nil {
		return key{}, err
	}
	defer it.Close()
	if !it.Last() {
		return key{}, it.Error()
	}
	return parseKey(it.Key())
}

// pruneEvery is how many events come between two looks at what is too old.
const pruneEvery = 512

// prune removes what is too old or too much. from is the key of the first event just written, seq the last number.
func prune(db *pebble.DB, from key, seq uint64, o Options) error {
	if from.seq/pruneEvery == seq/pruneEvery && from.seq != 1 {
		return nil
	}
	end, err := pruneEnd(db, seq, o)
	if err != nil || end == (key{}) {
		return err
	}
	if err := db.DeleteRange(eventsFrom(), end.bytes(), pebble.NoSync); err != nil {
		return fmt.Errorf("remove old events: %w", err)
	}
	return nil
}

// pruneEnd is the first event to stay, zero if all may.
func pruneEnd(db *pebble.DB, seq uint64, o Options) (key, error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: eventsFrom(), UpperBound: eventsTo()})
	if err != nil {
		return key{}, fmt.Errorf("remove old events: %w", err)
	}
	defer it.Close()
	oldest := o.Clock().Add(-o.MaxAge).UnixMilli()
	removed := false
	for ok := it.First(); ok; ok = it.Next() {
		k, err := parseKey(it.Key())
		if err != nil {
			return key{}, fmt.Errorf("remove old events: %w", err)
		}
		if k.milli >= oldest && k.seq+uint64(o.MaxEvents) > seq {
			if !removed {
				return key{}, nil
			}
			return k, nil
		}
		removed = true
	}
	return key{}, it.Error()
}
