package stage0

import (
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// receiveBatch bounds what is read from stage 1 before the loop looks at other things.
const receiveBatch = 4096

// receive handles what stage 1 has sent.
func (s *stage0) receive() {
	l := s.life
	if l == nil {
		return
	}
	for range receiveBatch {
		m, files, err := l.next()
		if err == io.EOF || err == unix.EAGAIN {
			return
		}
		if err != nil {
			s.log.printf("from supervisor pid %d: %v; passed over", l.pid, err)
			continue
		}
		s.handle(l, m, files)
	}
}

// handle does what one message asks; files are its to keep or close.
func (s *stage0) handle(l *life, m Message, files []int) {
	if m.Type != Store {
		closeAll(files)
	}
	var err error
	switch m.Type {
	case Beat:
		l.lastBeat = time.Now()
	case Store:
		err = s.store.put(m.Name, files)
	case Drop:
		s.store.drop(m.Name)
	case Know:
		err = s.ledger.know(m)
	case Ack:
		s.ledger.forget(m.Name, m.Run)
	case Ready:
		s.isReady(l)
	case Status:
		s.progress(m.Text)
	case Done:
		s.expectEnd(l, verdict{done, m.Code})
	case Refuse:
		s.refuse(l, m)
	}
	if err != nil {
		s.log.printf("from supervisor pid %d: %v", l.pid, err)
	}
}

// isReady tells systemd, also after a reload.
func (s *stage0) isReady(l *life) {
	if s.order == nil {
		s.notify.send("READY=1")
	}
	if !l.ready {
		s.log.printf("supervisor pid %d is ready", l.pid)
	}
	l.ready, s.ready, s.reload = true, true, false
}

// progress passes a status on; while starting it also extends systemd's patience. While stopping that has been done for the whole stop.
func (s *stage0) progress(text string) {
	lines := []string{statusLine(text)}
	if !s.ready && s.order == nil {
		lines = append(lines, extendLine(2*s.cfg.Timings.BeatTimeout))
	}
	s.notify.send(lines...)
}

// refuse ends `run` only in the first life before READY: a bad configuration must not loop. Later lives run on the plan
// that was accepted.
func (s *stage0) refuse(l *life, m Message) {
	if m.Code != exitUsage && m.Code != exitRefused || l.number != 1 || l.ready {
		s.log.printf("supervisor pid %d refuses with code %d, which counts only as 2 or 6 from the first one before it is ready: %s", l.pid, m.Code, m.Text)
		return
	}
	s.expectEnd(l, verdict{refused, m.Code})
}

func (s *stage0) expectEnd(l *life, v verdict) {
	l.verdict, l.askedAt = v, time.Now()
}
