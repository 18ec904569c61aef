package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Group is the group whose members may read the appliance's state, where it exists.
const Group = "sourcegraph"

// answerWait is how long a listener that is already there may take to accept.
const answerWait = time.Second

// socket is the admin socket under its final name: the listener itself was bound beside it.
type socket struct {
	*net.UnixListener
	path string
}

func (s *socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

// Close ends listening, and leaves the file: another supervisor may have put its own there.
func (s *socket) Close() error { return s.UnixListener.Close() }

// Listen opens the admin socket: 0660 with the group [Group] where it exists and we may give it, else 0600.
//
// It is bound beside and renamed, so that at no moment it is open to others or missing; a socket that nobody listens on any more is
// replaced. One that somebody answers on is refused with exit code 6.
func Listen(path string) (net.Listener, error) {
	if conn, err := net.DialTimeout("unix", path, answerWait); err == nil {
		pid := peerPID(conn)
		_ = conn.Close() // it was only a question
		return nil, &Error{
			Code: codeRefused, Message: fmt.Sprintf("listen on %s: process %d already answers there", path, pid),
			Remedy: "two appliances need different run directories: --run-dir",
		}
	}
	beside := strings.TrimSuffix(path, filepath.Ext(path)) + ".new"
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove an unfinished admin socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: beside, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("open the admin socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(giveAccess(beside), os.Rename(beside, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("open the admin socket %s: %w", path, err), l.Close(), os.Remove(beside))
	}
	return &socket{l, path}, nil
}

// giveAccess sets owner and mode. The group's absence, or that it is not ours to give, is no fault: then only the owner gets in.
func giveAccess(path string) error {
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	g, err := user.LookupGroup(Group)
	if err != nil {
		return nil
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil || os.Chown(path, -1, gid) != nil {
		return nil
	}
	return os.Chmod(path, 0o660)
}
