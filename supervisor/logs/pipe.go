package logs

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// pipeSize is the size of a service's pipe, process-model.md section 4: a 64 KiB one may hold half of that.
const pipeSize = 256 << 10

// NewPipe makes the pipe of a service. It belongs to uid and gid, else opening /dev/stdout fails in the service.
//
// Where the kernel refuses [pipeSize], the pipe stays smaller; lines are then cut earlier. Both ends are in blocking mode: w because
// programs expect it of their standard output, r so that Go's poller does not wake up for every line.
func NewPipe(uid, gid int) (r, w *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("make a log pipe: %w", err)
	}
	r, w = os.NewFile(uintptr(fds[0]), "log pipe"), os.NewFile(uintptr(fds[1]), "log pipe")
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize) // refused above the user's pipe budget
	if uid == os.Geteuid() && gid == os.Getegid() {
		return r, w, nil
	}
	if err := unix.Fchown(fds[0], uid, gid); err != nil {
		r.Close()
		w.Close()
		return nil, nil, fmt.Errorf("give a log pipe to uid %d, gid %d: %w", uid, gid, err)
	}
	return r, w, nil
}

// Reopen opens the write end of the pipe whose read end is r, for the next run of a service whose pipe was inherited.
func Reopen(r *os.File) (w *os.File, err error) {
	fd, err := rawFD(r)
	if err != nil {
		return nil, fmt.Errorf("reopen log pipe %s: %w", r.Name(), err)
	}
	wfd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("reopen log pipe %s for writing: %w", r.Name(), err)
	}
	return os.NewFile(uintptr(wfd), "log pipe"), nil
}

// rawFD is the descriptor of f without [os.File.Fd]'s side effects.
func rawFD(f *os.File) (fd int, err error) {
	c, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = c.Control(func(n uintptr) { fd = int(n) })
	return fd, err
}

// waiting is how many bytes are in the pipe.
func waiting(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ) // FIONREAD
	if err != nil {
		return 0
	}
	return n
}
