package stage0

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// inheritedFD is where stage 1 finds its end of the socket.
const inheritedFD = 3

// sendPatience is how long Send waits for a stage 0 that does not read, which is one that somebody stopped.
const sendPatience = 10 * time.Second

// Conn is stage 1's end of the socket. Its methods may be called at the same time from several goroutines.
type Conn struct {
	file  *os.File
	raw   syscall.RawConn
	recv  sync.Mutex
	inbox inbox
}

// Inherit takes the socket on descriptor 3. Call it once, before anything opens descriptors.
func Inherit() (*Conn, error) {
	kind, err := unix.GetsockoptInt(inheritedFD, unix.SOL_SOCKET, unix.SO_TYPE)
	if err == nil && kind != unix.SOCK_SEQPACKET {
		err = fmt.Errorf("socket type %d, want SOCK_SEQPACKET", kind)
	}
	if err != nil {
		return nil, notStarted{fmt.Errorf("take descriptor %d from stage 0: %w", inheritedFD, err)}
	}
	unix.CloseOnExec(inheritedFD)
	return newConn(inheritedFD)
}

// notStarted is the error of a stage 1 that a person started.
type notStarted struct{ error }

func (e notStarted) Unwrap() error { return e.error }
func (notStarted) Hint() string    { return "supervise is started by: sourcegraph run" }

func newConn(fd int) (*Conn, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("make descriptor %d non-blocking: %w", fd, err)
	}
	file := os.NewFile(uintptr(fd), "stage0")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	return &Conn{file: file, raw: raw}, nil
}

// Send passes m to stage 0. It waits at most 10 s; then, and when stage 0 is gone, it is an error.
func (c *Conn) Send(m Message) error {
	if len(m.Files) > maxFiles {
		return fmt.Errorf("send %s %s: %d files, at most %d", m.Type, m.Name, len(m.Files), maxFiles)
	}
	packet, err := encode(m)
	if err != nil {
		return err
	}
	fds := make([]int, len(m.Files))
	for i, f := range m.Files {
		if fds[i], err = descriptor(f); err != nil {
			return fmt.Errorf("send %s %s: %w", m.Type, m.Name, err)
		}
	}
	if err := c.send(packet, fds); err != nil {
		return fmt.Errorf("send %s %s: %w", m.Type, m.Name, err)
	}
	runtime.KeepAlive(m.Files)
	return nil
}

// descriptor is f's number. (*os.File).Fd would make f blocking.
func descriptor(f *os.File) (int, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1, err
	}
	number := -1
	err = raw.Control(func(fd uintptr) { number = int(fd) })
	return number, err
}

func (c *Conn) send(packet []byte, fds []int) error {
	var sent error
	if err := c.raw.Control(func(fd uintptr) { sent = sendPacket(int(fd), packet, fds) }); err != nil {
		return err
	}
	if sent != unix.EAGAIN {
		return sent
	}
	if err := c.file.SetWriteDeadline(time.Now().Add(sendPatience)); err != nil {
		return err
	}
	err := c.raw.Write(func(fd uintptr) bool {
		sent = sendPacket(int(fd), packet, fds)
		return sent != unix.EAGAIN
	})
	return errors.Join(err, sent)
}

// Recv waits for the next message. Messages of unknown types and bad packets are passed over. io.EOF: stage 0 is gone.
// The caller owns Files; they are close-on-exec.
func (c *Conn) Recv() (Message, error) {
	c.recv.Lock()
	defer c.recv.Unlock()
	for {
		var (
			m   Message
			fds []int
			got error
		)
		err := c.raw.Read(func(fd uintptr) bool {
			m, fds, got = c.inbox.receive(int(fd))
			return got != unix.EAGAIN
		})
		var errno syscall.Errno
		switch {
		case err != nil:
			return Message{}, fmt.Errorf("receive from stage 0: %w", err)
		case got == io.EOF:
			return Message{}, io.EOF
		case errors.As(got, &errno):
			return Message{}, fmt.Errorf("receive from stage 0: %w", errno)
		case got != nil:
			continue
		case m.Type.fromStage0():
			m.Files = adopt(m.Name, fds)
			return m, nil
		default:
			closeAll(fds)
		}
	}
}

func (t Type) fromStage0() bool {
	return t == Hello || t == Give || t == Exit || t == Stop || t == Reload
}

func adopt(name string, fds []int) []*os.File {
	var files []*os.File
	for _, fd := range fds {
		files = append(files, os.NewFile(uintptr(fd), name))
	}
	return files
}

// Close ends the connection; stage 0 then takes this stage 1 for dead or wedged.
func (c *Conn) Close() error { return c.file.Close() }
