package stage0

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// Exit codes of `run` that stage 0 itself gives.
const (
	exitInternal = 1
	exitUsage    = 2
	exitKilled   = 3
	exitRefused  = 6
)

// stage0 is the state of the one loop; no other goroutine touches it.
type stage0 struct {
	cfg    Config
	log    *logger
	sig    *signals
	lock   *dataLock
	notify *notifier
	store  *store
	ledger *ledger

	life    *life     // nil: dead
	lives   uint64    // begun so far
	ready   bool      // some life was READY
	program choice    // which program the next life runs
	startAt time.Time // of the next life
	why     string    // the next life begins
	reload  bool      // ordered and not answered: the next life hears of it too
	order   *order    // nil: not told to stop
	result  *int      // set: the loop ends, with this code

	again     chan struct{} // zombies are left after a batch
	nextSweep time.Time
}

// order is an ordered stop.
type order struct {
	at       time.Time
	deadline time.Time // ours: then everything is killed
	told     Instant   // stage 1's: a little earlier, so that it can still say what it did
	tried    bool      // a life that was to do it from its beginning has ended, or could not begin
}

// Run is the life of stage 0 and returns the exit code of `run`: what stage 1 gave with DONE, 2 or 6 when the first stage
// 1 refused before it was ready, 1 when a stop ended without a supervisor that could say so, 3 when something had to be killed, 6 when the data directory is held, 2 when it cannot be used.
func Run(cfg Config) int {
	sig := claimSignals()
	defer sig.release()
	cfg = cfg.withDefaults()
	log := newLogger(cfg.Log)
	defer log.flush(time.Second)
	lock, err := takeLock(cfg.DataDir)
	if err != nil {
		return reportError(log, err)
	}
	defer lock.file.Close()
	s := &stage0{cfg: cfg, log: log, sig: sig, lock: lock, store: newStore(), ledger: newLedger(),
		again: make(chan struct{}, 1), why: "first start"}
	defer s.store.close()
	s.notify, s.cfg.Env = takeNotifier(cfg.Env)
	defer s.notify.close()
	s.prepare()
	s.loop()
	return s.end()
}

// reportError prints err with its remedy and chooses the code.
func reportError(log *logger, err error) int {
	log.printf("%v", err)
	var hint interface{ Hint() string }
	if errors.As(err, &hint) {
		log.printf("%s", hint.Hint())
	}
	var locked *LockedError
	var unusable dataDirError
	switch {
	case errors.As(err, &locked):
		return exitRefused
	case errors.As(err, &unusable):
		return exitUsage
	default:
		return exitInternal
	}
}

// prepare makes us the parent of all orphans below us, and the last victim of the OOM killer where that is allowed.
func (s *stage0) prepare() {
	if os.Getpid() != 1 {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			s.log.printf("become the reaper of orphans: %v; processes that detach themselves can escape", err)
		}
	}
	_ = writeExisting("/proc/self/oom_score_adj", "-1000") // refused without CAP_SYS_RESOURCE, which is fine
}

// loop runs until there is a result. A panic in one turn is reported and the next turn begins: as process 1 a crash would
// take everything along.
func (s *stage0) loop() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for s.result == nil {
		s.turn(timer)
	}
}

func (s *stage0) turn(timer *time.Timer) {
	defer func() {
		if p := recover(); p != nil {
			s.log.printf("panic, going on: %v\n%s", p, debug.Stack())
			time.Sleep(100 * time.Millisecond) // never a tight loop of panics
		}
	}()
	now := time.Now()
	s.tick(now)
	if s.result != nil {
		return
	}
	timer.Reset(max(time.Until(s.due(now)), 0))
	s.wait(timer)
}

// wait does one thing.
func (s *stage0) wait(timer *time.Timer) {
	var readable, writable chan struct{}
	if s.life != nil {
		readable, writable = s.life.readable, s.life.writable
	}
	select {
	case sig := <-s.sig.stop:
		s.orderStop(sig.String())
	case <-s.sig.hangup:
		s.hangup()
	case <-s.sig.quit:
		s.log.printf("goroutines, as asked:\n%s", allStacks())
	case <-s.sig.child:
		s.reapBatch()
	case <-s.again:
		s.reapBatch()
	case <-readable:
		s.receive()
		if l := s.life; l != nil && !l.closed {
			l.resume <- struct{}{}
		}
	case <-writable:
		s.life.waiting = false
	case <-timer.C:
	}
}

func allStacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}

func (s *stage0) reapBatch() {
	if s.reap() == more {
		select {
		case s.again <- struct{}{}:
		default:
		}
	}
}

// tick does everything that is due.
func (s *stage0) tick(now time.Time) {
	s.notify.tick(now)
	if !now.Before(s.nextSweep) {
		s.nextSweep = now.Add(sweepEvery)
		s.reapBatch()
	}
	if s.order != nil && !now.Before(s.order.deadline) {
		s.overdue()
		return
	}
	switch l := s.life; {
	case s.result != nil:
	case l != nil:
		s.watch(l, now)
		l.flush(s.filesOf)
	case s.order != nil && s.order.tried && s.nothingLeft():
		s.log.printf("nothing is left to stop, though no supervisor said so")
		s.finish(exitInternal)
	case !now.Before(s.startAt):
		s.begin()
	}
}

// due is the moment of the next tick.
func (s *stage0) due(now time.Time) time.Time {
	next := s.nextSweep
	for _, t := range []time.Time{s.notify.due(now), s.nextForLife(), s.deadline()} {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	return next
}

func (s *stage0) deadline() time.Time {
	if s.order == nil {
		return time.Time{}
	}
	return s.order.deadline
}

func (s *stage0) nextForLife() time.Time {
	l := s.life
	if l == nil {
		return s.startAt
	}
	at := s.patienceEnds(l)
	if !l.retryAt.IsZero() && (at.IsZero() || l.retryAt.Before(at)) {
		return l.retryAt
	}
	return at
}

// filesOf are the descriptors for a GIVE.
func (s *stage0) filesOf(name string) []int {
	if name == lockName {
		return []int{int(s.lock.file.Fd())}
	}
	return s.store.files[name]
}

// finish makes the loop end with code.
func (s *stage0) finish(code int) {
	if s.result == nil {
		s.result = &code
	}
}

// overdue is the stop deadline: nothing may live on. Stage 1 goes first, so that it starts nothing meanwhile.
func (s *stage0) overdue() {
	s.log.printf("the stop took longer than %s: killing what is left", s.cfg.StopTimeout)
	if s.life != nil {
		s.life.signal(unix.SIGKILL)
	}
	s.finish(exitKilled)
}

// end proves everything dead and returns the code.
func (s *stage0) end() int {
	code := *s.result
	s.notify.send("STOPPING=1", extendLine(s.cfg.Timings.KillWait+5*time.Second))
	killed, undead := s.sweep(s.cfg.Timings.KillWait)
	if len(killed) > 0 {
		s.log.printf("had to kill: %s", listed(killed))
		if code == 0 {
			code = exitKilled
		}
	}
	if len(undead) > 0 {
		s.log.printf("not dead %s after SIGKILL: %s", s.cfg.Timings.KillWait, listed(undead))
		code = exitKilled
	}
	s.log.printf("ended with code %d", code)
	s.notify.send(statusLine(fmt.Sprintf("ended with code %d", code)))
	return code
}
