package door

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// maxMessage bounds one message on the control socket, bytes; maxListeners its descriptors (the kernel takes 253).
const (
	maxMessage   = 64 << 10
	maxListeners = 64
)

// message is one packet on the control socket, either way. Exactly one field is set; an empty message is a beat. Unknown fields are ignored, so that versions can differ.
type message struct {
	State     *State         `json:"state,omitempty"`
	Listeners []listenerMeta `json:"listeners,omitempty"` // with as many descriptors
	Set       bool           `json:"set,omitempty"`       // Listeners is meant, though it may be empty
	Ask       string         `json:"ask,omitempty"`       // a question for Stats, with its name
	Stats     *Stats         `json:"stats,omitempty"`     // the answer
	Drain     *Drain         `json:"drain,omitempty"`
}

type listenerMeta struct {
	Name string `json:"name"`
	TLS  bool   `json:"tls"`
}

// Drain says how a door ends.
type Drain struct {
	Deadline time.Duration `json:"deadline"` // what is not finished by then is cut
	Idle     time.Duration `json:"idle"`     // how long idle connections may send one more request; 0: closed at once. With a new door in place, a few seconds keep a request from being lost
}

func (m message) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err == nil && len(b) > maxMessage {
		err = fmt.Errorf("%d bytes are more than %d", len(b), maxMessage)
	}
	if err != nil {
		return nil, fmt.Errorf("write a message to the front door: %w", err)
	}
	return b, nil
}

// packetConn makes a control socket usable; f stays the caller's.
func packetConn(f *os.File) (*net.UnixConn, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("use the front door's control socket: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("use the front door's control socket: it is a %T", c)
	}
	return u, nil
}

// receive reads one packet with its descriptors. Errors of the packet alone are errMessage: the next one can be read.
func receive(c *net.UnixConn, buf []byte) (message, []*os.File, error) {
	var m message
	oob := make([]byte, unix.CmsgSpace(4*maxListeners))
	n, oobn, flags, _, err := c.ReadMsgUnix(buf, oob)
	if err != nil {
		return m, nil, err
	}
	files := filesOf(oob[:oobn])
	if n == 0 && oobn == 0 {
		return m, nil, net.ErrClosed // the other end is gone; nobody sends empty packets
	}
	if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = errors.New("it is cut")
	} else if err = json.Unmarshal(buf[:n], &m); err == nil && len(m.Listeners) != len(files) {
		err = fmt.Errorf("%d listeners with %d descriptors", len(m.Listeners), len(files))
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return message{}, nil, fmt.Errorf("%w of %d bytes: %w", errMessage, n, err)
	}
	return m, files, nil
}

var errMessage = errors.New("read a control message")

func filesOf(oob []byte) []*os.File {
	var files []*os.File
	msgs, _ := unix.ParseSocketControlMessage(oob)
	for i := range msgs {
		fds, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "listener"))
		}
	}
	return files
}
