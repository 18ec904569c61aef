package process

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// reserveSize is what one start needs at its height: the pidfd, both ends of the exec error pipe, one for /proc.
const reserveSize = 4

// reserve is a few descriptors kept for the moment when there are no others.
type reserve struct {
	mu  sync.Mutex
	fds []int
}

func newReserve() (*reserve, error) {
	r := &reserve{}
	if err := r.fill(); err != nil {
		r.release()
		return nil, fmt.Errorf("keep %d spare descriptors: %w", reserveSize, err)
	}
	return r, nil
}

// fill takes descriptors until the reserve is full again.
func (r *reserve) fill() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.fds) < reserveSize {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		r.fds = append(r.fds, fd)
	}
	return nil
}

// release gives all of it back; it reports whether there was anything.
func (r *reserve) release() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	had := len(r.fds) > 0
	for _, fd := range r.fds {
		_ = unix.Close(fd)
	}
	r.fds = nil
	return had
}
