package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// Options say how much is kept; the zero values mean the defaults.
type Options struct {
	MaxEvents int           // default 100,000, about 20 MB
	MaxAge    time.Duration // default 90 days
	Clock     func() time.Time
	FS        vfs.FS      // nil: the operating system's
	Report    func(error) // is told what goes wrong, once per change; nil: nobody
}

const (
	defaultMaxEvents = 100_000
	defaultMaxAge    = 90 * 24 * time.Hour

	// recentEvents bounds what is in memory: what followers have not seen yet, and what the disk has not taken. About 300 bytes each.
	recentEvents = 1024

	// batchEvents bounds one write.
	batchEvents = 128

	// retryEvery is how often opening is tried again, and a full disk.
	retryEvery = time.Second
)

// Stats is what the store has done since it was made.
type Stats struct {
	Open      bool
	Appended  uint64
	Written   uint64
	Dropped   uint64 // never written: memory was full
	LastError error  // nil again once events are written
}

// Store keeps events. Its methods may be called from several goroutines.
type Store struct {
	dir  string
	o    Options
	fs   *patientFS
	done sync.WaitGroup
	stop chan struct{}
	wake chan struct{}

	mu      sync.Mutex
	recent  []entry // oldest first; the place of recent[0] is first
	first   uint64  // place of recent[0], counted from 1
	written uint64  // place of the last event that Pebble has, or that was dropped
	changed chan struct{}
	started bool
	closed  bool
	db      *pebble.DB // nil: not open
	opened  chan struct{}
	readers sync.WaitGroup // of db
	seq     uint64         // of the last event
	time    int64          // of the last event's key
	stats   Stats
}

// entry is an event in memory.
type entry struct {
	event api.Event
	key   key // zero until the store is open
}

// New returns a store that takes events, and opens nothing yet.
func New(dir string, o Options) *Store {
	if o.MaxEvents <= 0 {
		o.MaxEvents = defaultMaxEvents
	}
	if o.MaxAge <= 0 {
		o.MaxAge = defaultMaxAge
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	s := &Store{
		dir: dir, o: o, first: 1,
		stop: make(chan struct{}), wake: make(chan struct{}, 1), changed: make(chan struct{}), opened: make(chan struct{}),
	}
	s.fs = newPatientFS(o.FS, s.stop, s.failed)
	return s
}

// Open begins to open the store in the background, and returns. While that is not possible it is tried again.
func (s *Store) Open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.closed {
		return
	}
	s.started = true
	s.done.Go(s.run)
}

// Append takes an event. It never waits for a disk. An event without a time gets the present.
//
// It returns the event's number, counted since the store was first made, or 0 while the store is not open: the number is given then.
func (s *Store) Append(e api.Event) (seq uint64) {
	if e.At.IsZero() {
		e.At.Time = s.o.Clock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Appended++
	s.recent = append(s.recent, entry{event: e})
	if s.db != nil {
		s.numberLocked(&s.recent[len(s.recent)-1])
	}
	s.boundLocked()
	close(s.changed)
	s.changed = make(chan struct{})
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return s.recent[len(s.recent)-1].event.Seq
}

// numberLocked gives an event its number and its key. Keys do not go back when the clock does.
func (s *Store) numberLocked(e *entry) {
	s.seq++
	s.time = max(s.time, e.event.At.UnixMilli())
	e.event.Seq = s.seq
	e.key = key{milli: s.time, seq: s.seq}
}

// boundLocked forgets the oldest events. Those that were not written are lost.
func (s *Store) boundLocked() {
	if len(s.recent) <= recentEvents {
		return
	}
	n := len(s.recent) - recentEvents*3/4
	s.recent = append(s.recent[:0], s.recent[n:]...)
	clear(s.recent[len(s.recent):cap(s.recent)])
	s.first += uint64(n)
	if s.written+1 < s.first {
		s.stats.Dropped += s.first - 1 - s.written
		s.written = s.first - 1
	}
}

// Stats returns the counts so far.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Open = s.db != nil
	return st
}

// failed notes an error, nil for none, and reports it if it is another one than before.
func (s *Store) failed(err error) {
	s.mu.Lock()
	was := s.stats.LastError
	s.stats.LastError = err
	s.mu.Unlock()
	if err != nil && (was == nil || was.Error() != err.Error()) {
		s.o.Report(err)
	}
}

// run owns the database: it opens it, writes to it and closes it.
func (s *Store) run() {
	if !s.openUntilDone() {
		return
	}
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
		}
		for s.writeSome() {
		}
	}
}

// openUntilDone is false if the store was closed before it could be opened.
func (s *Store) openUntilDone() bool {
	for {
		db, last, err := openDB(s.dir, s.fs, s.o)
		if err == nil {
			s.adopt(db, last)
			return true
		}
		s.failed(err)
		select {
		case <-s.stop:
			return false
		case <-time.After(retryEvery):
		}
	}
}

// adopt begins to use db, whose last event is last.
func (s *Store) adopt(db *pebble.DB, last key) {
	s.failed(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.db, s.seq, s.time = db, last.seq, last.milli
	for i := range s.recent {
		s.numberLocked(&s.recent[i])
	}
	close(s.opened)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// writeSome writes one batch; false if there is nothing to write, or if it could not be written.
func (s *Store) writeSome() bool {
	batch, last := s.pending()
	if len(batch) == 0 || s.fs.broken.Load() {
		return false
	}
	b := s.db.NewBatch()
	for _, e := range batch {
		value, err := encode(e.event)
		if err == nil {
			err = b.Set(e.key.bytes(), value, nil)
		}
		if err != nil {
			s.failed(fmt.Errorf("store an event of %q: %w", e.event.Service, err))
		}
	}
	// The write-ahead log's sync is a plain write unless Flush asks for more: see patientFS.
	if err := b.Commit(pebble.Sync); err != nil {
		s.failed(fmt.Errorf("store events: %w", err))
		return false
	}
	s.mu.Lock()
	if last > s.written { // else Append had to drop them meanwhile
		s.stats.Written += last - s.written
		s.written = last
	}
	close(s.changed)
	s.changed = make(chan struct{})
	seq := s.seq
	s.mu.Unlock()
	if err := prune(s.db, batch[0].key, seq, s.o); err != nil {
		s.failed(err)
	}
	return true
}

// pending is what to write next, and the place of its last event.
func (s *Store) pending() (batch []entry, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := int(s.written + 1 - s.first)
	to := min(from+batchEvents, len(s.recent))
	return append(batch, s.recent[from:to]...), s.first + uint64(to) - 1
}

var errClosed = errors.New("the event store is closed")

// Flush waits until all events that were appended before are on the disk, safe from a loss of power.
func (s *Store) Flush(ctx context.Context) error {
	if err := s.drain(ctx); err != nil {
		return err
	}
	return s.sync()
}

// drain waits until Pebble has all events that were appended before.
func (s *Store) drain(ctx context.Context) error {
	s.mu.Lock()
	upTo := s.first + uint64(len(s.recent)) - 1
	s.mu.Unlock()
	if err := s.waitOpen(ctx); err != nil {
		return fmt.Errorf("flush events: %w", err)
	}
	for {
		s.mu.Lock()
		written, changed := s.written, s.changed
		s.mu.Unlock()
		if written >= upTo {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("flush events: %w", ctx.Err())
		case <-s.stop:
			return fmt.Errorf("flush events: %w", errClosed)
		case <-changed:
		}
	}
}

func (s *Store) sync() error {
	db, release, err := s.use()
	if err != nil {
		return fmt.Errorf("flush events: %w", err)
	}
	defer release()
	s.fs.honest.Add(1)
	defer s.fs.honest.Add(-1)
	if err := db.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("flush events: %w", err)
	}
	return nil
}

// use keeps the database open until release.
func (s *Store) use() (db *pebble.DB, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil || s.closed {
		return nil, nil, errClosed
	}
	s.readers.Add(1)
	return s.db, s.readers.Done, nil
}

func (s *Store) waitOpen(ctx context.Context) error {
	select {
	case <-s.opened:
		return nil
	case <-s.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close writes what is in memory and closes the store. On a disk that is full or stalled it waits until ctx ends; the database
// is left as it is then, as by a kill.
func (s *Store) Close(ctx context.Context) error {
	var err error
	if s.isStarted() {
		err = s.drain(ctx) // what Pebble closes is on the disk
	}
	s.mu.Lock()
	was := s.closed
	s.closed = true
	s.mu.Unlock()
	if was {
		return nil
	}
	close(s.stop)
	ended := make(chan error, 1)
	go func() {
		s.done.Wait()
		s.readers.Wait()
		if s.db != nil && !s.fs.broken.Load() {
			ended <- s.db.Close()
			return
		}
		ended <- nil
	}()
	select {
	case cerr := <-ended:
		err = errors.Join(err, cerr)
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("close event store %s: %w", s.dir, err)
	}
	return nil
}

func (s *Store) isStarted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started && !s.closed
}
