package process

import "sync"

// Scanner shares looks at /proc among many who want one at the same time, as thirty services do that are being stopped. The zero value is ready.
type Scanner struct {
	mu      sync.Mutex
	running bool
	waiting *look // the next one, for all that came during the running one
}

// look is one scan that several wait for.
type look struct {
	done  chan struct{}
	table *Table
	err   error
}

// Scan is a scan that began after the call: one that is under way already may have passed what the caller is about to prove absent.
func (s *Scanner) Scan() (*Table, error) {
	s.mu.Lock()
	l := s.waiting
	if l == nil {
		l = &look{done: make(chan struct{})}
		s.waiting = l
		if !s.running {
			s.running = true
			go s.work()
		}
	}
	s.mu.Unlock()
	<-l.done
	return l.table, l.err
}

// work scans until nobody waits.
func (s *Scanner) work() {
	for {
		s.mu.Lock()
		l := s.waiting
		s.waiting = nil
		s.running = l != nil
		s.mu.Unlock()
		if l == nil {
			return
		}
		l.table, l.err = Scan()
		close(l.done)
	}
}
