package stage0

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// sendPacket writes one packet without waiting. EAGAIN means later.
func sendPacket(fd int, packet []byte, files []int) error {
	var oob []byte
	if len(files) > 0 {
		oob = unix.UnixRights(files...)
	}
	for {
		err := unix.Sendmsg(fd, packet, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return err
		}
	}
}

// inbox receives packets into one buffer.
type inbox struct {
	data [maxPacket]byte
	oob  [64 + 4*maxFiles]byte
}

// receive reads one packet without waiting. EAGAIN means later, io.EOF that the peer is gone; any other error is a bad
// packet that has been consumed. The files are the caller's, and are closed already when there is an error.
func (in *inbox) receive(fd int) (Message, []int, error) {
	n, oobn, flags, err := in.recvmsg(fd)
	if err != nil {
		return Message{}, nil, err
	}
	files, err := rights(in.oob[:oobn])
	switch {
	case err != nil:
	case n == 0 && oobn == 0:
		err = io.EOF // an empty packet reads the same: nobody may send one
	case flags&unix.MSG_TRUNC != 0:
		err = fmt.Errorf("packet is longer than %d bytes", maxPacket)
	case flags&unix.MSG_CTRUNC != 0:
		err = errors.New("descriptors were lost on the way: more than 64, or no free number here")
	}
	var m Message
	if err == nil {
		m, err = decode(in.data[:n])
	}
	if err != nil {
		closeAll(files)
		return Message{}, nil, err
	}
	return m, files, nil
}

func (in *inbox) recvmsg(fd int) (n, oobn, flags int, err error) {
	for {
		n, oobn, flags, _, err = unix.Recvmsg(fd, in.data[:], in.oob[:], unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err == unix.ECONNRESET { // the peer ended with packets of ours unread; what it sent is still behind this
			continue
		}
		if err != unix.EINTR {
			return n, oobn, flags, err
		}
	}
}

// rights are the descriptors in control data.
func rights(oob []byte) ([]int, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("parse control data of %d bytes: %w", len(oob), err)
	}
	var files []int
	for i := range messages {
		if messages[i].Header.Level != unix.SOL_SOCKET || messages[i].Header.Type != unix.SCM_RIGHTS {
			continue
		}
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return files, fmt.Errorf("parse descriptors: %w", err)
		}
		files = append(files, fds...)
	}
	return files, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
