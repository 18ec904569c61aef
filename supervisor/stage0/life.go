package stage0

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxQueue bounds the messages that wait for stage 1 beyond the inventory.
const maxQueue = 1024

// sendRetry is the pause after an error that passes by itself (too many descriptors in flight, no memory).
const sendRetry = 20 * time.Millisecond

// life is one stage 1, from its fork to its reaping.
type life struct {
	number   uint64
	pid      int
	program  string
	started  time.Time
	lastBeat time.Time
	ready    bool
	verdict  verdict
	askedAt  time.Time // of the dump, or when DONE or REFUSE came
	killed   bool

	file     *os.File
	raw      syscall.RawConn
	inbox    inbox
	closed   bool          // nothing more can come
	queue    []Message     // waits to be sent; GIVE without its descriptors, which are looked up when it is sent
	bound    int           // of the queue: the inventory and maxQueue more
	retryAt  time.Time     // zero: nothing failed
	waiting  bool          // a goroutine waits until it is writable
	readable chan struct{} // a packet or the end is there
	resume   chan struct{} // look for the next one
	writable chan struct{}
	quit     chan struct{}
}

// verdict is why a life is coming to its end.
type verdict struct {
	kind verdictKind
	code int // of DONE and REFUSE
}

type verdictKind int

const (
	living  verdictKind = iota
	done                // it said DONE
	refused             // it said REFUSE, as the first one and before READY
	wedged              // it does not beat, or does not read
)

// startLife forks program as stage 1.
func startLife(number uint64, program string, argv, env []string, dir string) (*life, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("make the socket for the supervisor: %w", err)
	}
	defer unix.Close(pair[1]) // only stage 1 has that end, and only we have the other
	pid, err := fork(program, argv, env, dir, pair[1])
	if err != nil {
		unix.Close(pair[0])
		return nil, fmt.Errorf("start the supervisor %s: %w", program, err)
	}
	l := &life{number: number, pid: pid, program: program, started: time.Now(), lastBeat: time.Now(),
		readable: make(chan struct{}), resume: make(chan struct{}, 1), writable: make(chan struct{}, 1), quit: make(chan struct{})}
	l.file = os.NewFile(uintptr(pair[0]), "stage1")
	if l.raw, err = l.file.SyscallConn(); err != nil { // not possible for a file just made
		l.closed = true
		return l, nil
	}
	go l.watch()
	return l, nil
}

// fork gives the child its own session, /dev/null, our stdout and stderr, and the socket. Not os/exec: that would wait beside us (E16).
func fork(program string, argv, env []string, dir string, socket int) (int, error) {
	null, err := openNull()
	if err != nil {
		return 0, err
	}
	defer unix.Close(null)
	if _, err := os.Stat(dir); err != nil {
		dir = "/" // somebody cleaned up below us: no reason to stay without a supervisor
	}
	catchTerminal(make(chan os.Signal, 1))
	defer ignoreTerminal()
	return syscall.ForkExec(program, append([]string{"sourcegraph"}, argv...), &syscall.ProcAttr{
		Dir: dir, Env: env,
		Files: []uintptr{uintptr(null), 1, 2, uintptr(socket)},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
}

// openNull is /dev/null, or the end of a closed pipe where a bare container has none (E60).
func openNull() (int, error) {
	if fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
		return fd, nil
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return -1, fmt.Errorf("make an empty standard input: %w", err)
	}
	unix.Close(pipe[1])
	return pipe[0], nil
}

// watch tells the loop that there is something to read, one time for each resume.
func (l *life) watch() {
	for {
		err := l.raw.Read(func(fd uintptr) bool { return polls(int(fd), unix.POLLIN) })
		select {
		case l.readable <- struct{}{}:
		case <-l.quit:
			return
		}
		if err != nil {
			return
		}
		select {
		case <-l.resume:
		case <-l.quit:
			return
		}
	}
}

// polls says that what we wait for, or an error or the end, is there.
func polls(fd int, events int16) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return err != nil || n > 0
		}
	}
}

// next is the next message, EAGAIN when there is none now, io.EOF when none can come. Other errors are bad packets.
func (l *life) next() (m Message, files []int, err error) {
	if l.closed {
		return Message{}, nil, io.EOF
	}
	if control := l.raw.Control(func(fd uintptr) { m, files, err = l.inbox.receive(int(fd)) }); control != nil {
		err = io.EOF
	}
	var errno syscall.Errno
	if err == io.EOF || errors.As(err, &errno) && errno != unix.EAGAIN {
		l.closed = true
		return Message{}, nil, io.EOF
	}
	return m, files, err
}

// post queues m; false means that stage 1 has not read for so long that the queue is full.
func (l *life) post(m Message) bool {
	if len(l.queue) >= l.bound {
		return false
	}
	l.queue = append(l.queue, m)
	return true
}

// flush sends what the socket takes. files are looked up last: a DROP may have come in between.
func (l *life) flush(files func(name string) []int) {
	for len(l.queue) > 0 && !l.closed && !l.waiting {
		err := l.sendFirst(files)
		switch err {
		case nil:
			l.queue, l.retryAt = l.queue[1:], time.Time{}
		case unix.EAGAIN:
			l.waiting = true
			go l.awaitWritable()
		case unix.EPIPE, unix.ECONNRESET, os.ErrClosed:
			l.queue = nil // it is dying; what it may have sent is still to be read
		default:
			l.retryAt = time.Now().Add(sendRetry)
			return
		}
	}
	if len(l.queue) == 0 {
		l.queue = nil // gives the memory back
	}
}

func (l *life) sendFirst(files func(name string) []int) error {
	m := l.queue[0]
	packet, err := encode(m)
	if err != nil {
		return nil // cannot be: all strings came through decode
	}
	var fds []int
	if m.Type == Give {
		fds = files(m.Name)
	}
	if control := l.raw.Control(func(fd uintptr) { err = sendPacket(int(fd), packet, fds) }); control != nil {
		return os.ErrClosed
	}
	return err
}

func (l *life) awaitWritable() {
	_ = l.raw.Write(func(fd uintptr) bool { return polls(int(fd), unix.POLLOUT) }) // an error: closed, the next send says so
	l.writable <- struct{}{}
}

// signal goes to stage 1 only. Its pid cannot have been used again: nobody but us reaps it.
func (l *life) signal(sig syscall.Signal) {
	_ = unix.Kill(l.pid, sig)
}

// close ends the goroutines.
func (l *life) close() {
	close(l.quit)
	l.file.Close()
}
