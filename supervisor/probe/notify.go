package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxNotify bounds a datagram, in bytes; a longer one is cut. sd_notify's own are below 200.
const maxNotify = 4096

// maxStatus bounds STATUS=, in bytes: it is shown in a table.
const maxStatus = 200

// Message is one datagram of sd_notify(3). MAINPID, FDSTORE and the like are not for us.
type Message struct {
	PID      int // of the sender, from the kernel
	Ready    bool
	Stopping bool
	Watchdog bool   // WATCHDOG=1
	Status   string // may be empty
}

// Notify is the socket of one run of one service. Its path goes into NOTIFY_SOCKET.
type Notify struct {
	path string
	conn *net.UnixConn
	once sync.Once
}

// Listen opens the socket at path, for uid to write to. What an earlier run left there is removed.
func Listen(path string, uid int) (*Notify, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("listen for notifications: %s is %d bytes long, a unix socket's path has at most %d", path, len(path), maxSocketPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen for notifications: %w", err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("listen for notifications on %s: %w", path, err)
	}
	n := &Notify{path: path, conn: conn}
	if err := n.prepare(uid); err != nil {
		n.Close()
		return nil, fmt.Errorf("listen for notifications on %s: %w", path, err)
	}
	return n, nil
}

// maxSocketPath is sun_path without its NUL. Source: unix(7).
const maxSocketPath = 107

// prepare lets nobody but the service's user write, and has the kernel name the senders.
func (n *Notify) prepare(uid int) error {
	if err := os.Chmod(n.path, 0o600); err != nil {
		return err
	}
	if uid >= 0 && uid != os.Geteuid() {
		if err := os.Chown(n.path, uid, -1); err != nil {
			return err
		}
	}
	raw, err := n.conn.SyscallConn()
	if err != nil {
		return err
	}
	ctlErr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	return errors.Join(ctlErr, err)
}

// Path is the value of NOTIFY_SOCKET.
func (n *Notify) Path() string { return n.path }

// Next waits for the next message of a process that mine accepts (nil: any), and drops the others. The error wraps ctx's or net.ErrClosed; after
// ctx's, Next may be called again. One goroutine calls it at a time.
func (n *Notify) Next(ctx context.Context, mine func(pid, uid int) bool) (Message, error) {
	_ = n.conn.SetReadDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { _ = n.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buf, oob := make([]byte, maxNotify), make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(8*4))
	for {
		size, oobSize, _, _, err := n.conn.ReadMsgUnix(buf, oob)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			} else if errors.Is(err, os.ErrDeadlineExceeded) { // of a call before this one
				_ = n.conn.SetReadDeadline(time.Time{})
				continue
			}
			return Message{}, fmt.Errorf("wait for a notification on %s: %w", n.path, err)
		}
		cred := sender(oob[:oobSize])
		if cred == nil || mine != nil && !mine(int(cred.Pid), int(cred.Uid)) {
			continue
		}
		m := parse(string(buf[:size]))
		m.PID = int(cred.Pid)
		return m, nil
	}
}

// sender is who sent it; descriptors that came along (FDSTORE) are closed.
func sender(oob []byte) *unix.Ucred {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var cred *unix.Ucred
	for i := range messages {
		if c, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			cred = c
		}
		if fds, err := unix.ParseUnixRights(&messages[i]); err == nil {
			for _, fd := range fds {
				_ = syscall.Close(fd)
			}
		}
	}
	return cred
}

func parse(text string) Message {
	var m Message
	for line := range strings.SplitSeq(text, "\n") {
		switch key, value, _ := strings.Cut(line, "="); key {
		case "READY":
			m.Ready = m.Ready || value == "1"
		case "STOPPING":
			m.Stopping = m.Stopping || value == "1"
		case "WATCHDOG":
			m.Watchdog = m.Watchdog || value == "1"
		case "STATUS":
			m.Status = printable([]byte(value), maxStatus)
		}
	}
	return m
}

// Close ends Next and removes the socket.
func (n *Notify) Close() {
	n.once.Do(func() {
		_ = n.conn.Close()
		_ = os.Remove(n.path)
	})
}
