package roster

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Listener is a socket that listens on a TCP port of this machine.
type Listener struct {
	Inode uint64 // of the socket, as /proc/PID/fd shows it
	UID   int    // who made it
}

// Listeners are the sockets that listen on a port, on whatever address; none also where the kernel shows none to us.
//
// The kernel lists listeners first, so that this costs no more with fifty thousand connections than with none.
// Source: proc(5), /proc/net/tcp: state 0A is LISTEN; net/ipv4/tcp_ipv4.c, tcp_seq_start.
func Listeners(port int) ([]Listener, error) {
	var found []Listener
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if errors.Is(err, fs.ErrNotExist) {
			continue // no IPv6
		}
		if err != nil {
			return nil, fmt.Errorf("read the listeners of this machine: %w", err)
		}
		found, err = listenersIn(bufio.NewScanner(f), port, found)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("read the listeners of this machine: %w", err)
		}
	}
	return found, nil
}

func listenersIn(lines *bufio.Scanner, port int, found []Listener) ([]Listener, error) {
	suffix := fmt.Sprintf(":%04X", port)
	lines.Scan() // the heading
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] != "0A" {
			break
		}
		if !strings.HasSuffix(f[1], suffix) {
			continue
		}
		uid, err := strconv.Atoi(f[7])
		inode, err2 := strconv.ParseUint(f[9], 10, 64)
		if err := errors.Join(err, err2); err != nil {
			return found, err
		}
		found = append(found, Listener{Inode: inode, UID: uid})
	}
	return found, lines.Err()
}

// Holds says whether a process has one of the sockets open. The error is fs.ErrPermission if its descriptors may not be looked at.
func Holds(pid int, sockets []Listener) (bool, error) {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	fds, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, fd := range fds {
		to, err := os.Readlink(dir + "/" + fd.Name())
		if errors.Is(err, fs.ErrPermission) {
			return false, err
		}
		for _, s := range sockets {
			if err == nil && to == "socket:["+strconv.FormatUint(s.Inode, 10)+"]" {
				return true, nil
			}
		}
	}
	return false, nil
}
