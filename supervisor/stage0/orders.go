package stage0

import (
	"time"
)

// headStart is how much earlier than ours the deadline of stage 1 is, at most a tenth of the whole.
const headStart = 2 * time.Second

// orderStop begins an ordered stop; a second order changes nothing.
func (s *stage0) orderStop(by string) {
	if s.order != nil {
		s.log.printf("%s: stopping already, at most %s more", by, time.Until(s.order.deadline).Round(time.Second))
		return
	}
	total := s.cfg.StopTimeout
	now := time.Now()
	s.order = &order{at: now, deadline: now.Add(total), told: After(total - min(headStart, total/10))}
	s.log.printf("%s: stopping, within %s", by, total)
	s.notify.send("STOPPING=1", extendLine(total+s.cfg.Timings.KillWait+5*time.Second))
	if s.life == nil {
		s.startAt = now // with the intent to stop, whatever the back-off was
		return
	}
	s.post(Message{Type: Stop, Deadline: s.order.told})
}

// hangup is reload, or an ordered stop when the terminal that we were started from is gone.
func (s *stage0) hangup() {
	switch {
	case s.sig.nohup:
	case s.sig.terminalGone():
		s.orderStop("the terminal hung up")
	case s.order != nil:
	default:
		s.log.printf("hangup: reload")
		s.notify.send(reloadingLines()...)
		s.reload = true
		if s.life != nil {
			s.post(Message{Type: Reload})
		}
	}
}
