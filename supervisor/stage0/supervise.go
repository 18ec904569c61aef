package stage0

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// stage1OOMScore is set right after the fork: stage 1 dies later than any service, but it can be killed. Services must be
// given a score of their own by stage 1.
const stage1OOMScore = "-900"

// choice is which program the next life runs.
type choice struct {
	fallback bool   // instead of the active release's
	instead  string // of this active program; another one gets its own chance
	shorts   int    // consecutive short lives
}

// pick is the program to run, given the active release's.
func (c *choice) pick(active, fallback string) string {
	if c.fallback && active != c.instead {
		c.fallback, c.shorts = false, 0
	}
	if c.fallback || active == "" {
		return fallback
	}
	c.instead = active
	return active
}

// short counts one more short life; every third one changes the program.
func (c *choice) short() {
	c.shorts++
	if c.shorts%fallbackAfter == 0 {
		c.fallback = !c.fallback
	}
}

// backoff is the pause after n consecutive short lives.
func (t Timings) backoff(n int) time.Duration {
	d := t.BackoffMin
	for i := 1; i < n && d < t.BackoffMax; i++ {
		d *= 2
	}
	return min(d, t.BackoffMax)
}

// begin starts a life and queues the whole inventory for it.
func (s *stage0) begin() {
	program := s.program.pick(s.cfg.Active(), s.cfg.Fallback)
	l, err := startLife(s.lives+1, program, s.cfg.Argv, s.cfg.Env, s.cfg.RunDir)
	if err != nil {
		s.cannotBegin(err, program)
		return
	}
	s.lives++
	s.life = l
	_ = writeExisting(fmt.Sprintf("/proc/%d/oom_score_adj", l.pid), stage1OOMScore) // refused, if ours was
	s.log.printf("supervisor started: pid %d, %s (%s)", l.pid, program, s.why)
	if err := s.lock.name(l.pid); err != nil {
		s.log.printf("%v; a second run is refused all the same", err)
	}
	s.greet(l)
	l.flush(s.filesOf)
}

// cannotBegin tries the fallback next if the program is at fault, after the pause that a short life has.
func (s *stage0) cannotBegin(err error, program string) {
	if program != s.cfg.Fallback && !transient(err) {
		s.program.fallback = true
	}
	s.program.shorts++
	if s.order != nil {
		s.order.tried = true
	}
	s.startAt = time.Now().Add(s.pause())
	s.why = err.Error()
	s.log.printf("%v; trying again in %s", err, time.Until(s.startAt).Round(time.Millisecond))
}

// transient errors say nothing about the program (E25, E26).
func transient(err error) bool {
	for _, errno := range []error{unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.EINTR, unix.ETXTBSY} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// greet queues what a new life must know, HELLO first.
func (s *stage0) greet(l *life) {
	names, exits := s.store.names(), s.ledger.exits()
	l.bound = len(names) + len(exits) + maxQueue
	hello := Message{Type: Hello, Run: l.number, PID: s.lock.record.Stage0PID, Gives: len(names) + 1, Exits: len(exits), Text: s.why}
	if s.order != nil {
		hello.Stop, hello.Deadline = true, s.order.told
	}
	l.post(hello)
	l.post(Message{Type: Give, Name: lockName})
	for _, name := range names {
		l.post(Message{Type: Give, Name: name})
	}
	for _, exit := range exits {
		l.post(exit)
	}
	if s.reload && s.order == nil {
		l.post(Message{Type: Reload})
	}
}

// post queues m for the present life. One that lets its queue fill up does not read, hence is wedged; the next one gets
// every exit again, and is told to stop by its HELLO.
func (s *stage0) post(m Message) {
	l := s.life
	if !l.post(m) && m.Type != Reload { // a RELOAD is in that queue already
		s.condemn(l, fmt.Sprintf("it does not read: %d messages wait", len(l.queue)))
	}
	l.flush(s.filesOf)
}

// watch brings a life that must end to its end.
func (s *stage0) watch(l *life, now time.Time) {
	due := s.patienceEnds(l)
	if due.IsZero() || now.Before(due) {
		return
	}
	switch {
	case l.verdict.kind != living:
		s.log.printf("supervisor pid %d has not ended %s after it was expected to: killing it", l.pid, s.dumpWait())
		l.killed = true
		l.signal(unix.SIGKILL)
	case now.Sub(due) > time.Second: // we were away ourselves (stopped, starved): its packets wait to be read
		l.lastBeat = now
	default:
		s.receive() // one more look
		if s.patienceEnds(l).Equal(due) {
			s.condemn(l, fmt.Sprintf("no sign of life for %s", s.beatTimeout()))
		}
	}
}

// condemn asks a wedged life for a goroutine dump; watch kills it later.
func (s *stage0) condemn(l *life, why string) {
	if l.verdict.kind != living {
		return
	}
	s.log.printf("supervisor pid %d is wedged (%s): asking it for a goroutine dump, then killing it", l.pid, why)
	l.verdict, l.askedAt = verdict{kind: wedged}, time.Now()
	l.signal(unix.SIGQUIT)
}

// patienceEnds is when watch has to act on l; zero: never.
func (s *stage0) patienceEnds(l *life) time.Time {
	switch {
	case l.killed:
		return time.Time{}
	case l.verdict.kind != living:
		return l.askedAt.Add(s.dumpWait())
	}
	from := l.lastBeat
	if s.order != nil && s.order.at.After(from) {
		from = s.order.at
	}
	return from.Add(s.beatTimeout())
}

// beatTimeout leaves time for another life within an ordered stop.
func (s *stage0) beatTimeout() time.Duration {
	if s.order != nil {
		return min(s.cfg.Timings.BeatTimeout, s.cfg.StopTimeout/3)
	}
	return s.cfg.Timings.BeatTimeout
}

func (s *stage0) dumpWait() time.Duration {
	if s.order != nil {
		return min(s.cfg.Timings.DumpWait, s.cfg.StopTimeout/10)
	}
	return s.cfg.Timings.DumpWait
}

// pause before the next life. A stop does not wait long for it.
func (s *stage0) pause() time.Duration {
	if s.program.shorts == 0 {
		return 0
	}
	d := s.cfg.Timings.backoff(s.program.shorts)
	if s.order != nil {
		d = min(d, s.cfg.StopTimeout/20)
	}
	return d
}

// lifeEnded decides what the end of stage 1 means. Only DONE and a refusal end `run`; an exit status never does, since a
// Go panic exits 2 too.
func (s *stage0) lifeEnded(status unix.WaitStatus) {
	l := s.life
	s.life = nil
	l.close()
	if err := s.lock.name(0); err != nil {
		s.log.printf("%v", err)
	}
	if l.verdict.kind == done || l.verdict.kind == refused {
		s.finish(l.verdict.code)
		return
	}
	if s.order != nil && l.started.After(s.order.at) {
		s.order.tried = true
	}
	lived := time.Since(l.started)
	if lived < s.cfg.Timings.ShortLife {
		s.program.short()
	} else {
		s.program.shorts = 0
	}
	s.why = fmt.Sprintf("supervisor pid %d %s after %s", l.pid, ending(l, status), lived.Round(time.Millisecond))
	pause := s.pause()
	s.startAt = time.Now().Add(pause)
	if s.result == nil {
		s.log.printf("%s; the services go on, the next supervisor starts in %s", s.why, pause)
	}
}

func ending(l *life, status unix.WaitStatus) string {
	switch {
	case l.verdict.kind == wedged:
		return "was wedged and killed"
	case status.Signaled():
		return "was killed by " + unix.SignalName(status.Signal())
	default:
		return fmt.Sprintf("ended with status %d and without DONE", status.ExitStatus())
	}
}
