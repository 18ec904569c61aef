package api

import (
	"context"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"unicode"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CommandHeader carries the words of the command line that asks.
const CommandHeader = "X-Appliance-Command"

// maxCommand bounds what of a command line is recorded, in bytes.
const maxCommand = 512

// maxGroups is the most supplementary groups that a process can have. Source: limits.h, NGROUPS_MAX.
const maxGroups = 65536

// caller is who opened a connection, as the kernel said when it was opened.
type caller struct {
	uid, gid, pid int
	groups        []uint32
	known         bool
}

type callerKey struct{}

// withCaller is an http.Server's ConnContext.
func withCaller(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, callerKey{}, callerOf(c))
}

func callerFrom(r *http.Request) caller {
	c, _ := r.Context().Value(callerKey{}).(caller)
	return c
}

// callerOf asks the kernel. A caller that it does not name gets no access.
func callerOf(c net.Conn) (who caller) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return caller{}
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return caller{}
	}
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return
		}
		who = caller{uid: int(cred.Uid), gid: int(cred.Gid), pid: int(cred.Pid), groups: peerGroups(int(fd)), known: true}
	})
	if err != nil {
		return caller{}
	}
	return who
}

// peerGroups are the caller's supplementary groups; none where the kernel cannot say (before 4.13).
func peerGroups(fd int) []uint32 {
	for n := 64; n <= maxGroups; n = maxGroups {
		groups := make([]uint32, n)
		size := uint32(n * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 {
			return groups[:size/4]
		}
		if errno != unix.ERANGE || n == maxGroups {
			return nil
		}
	}
	return nil
}

func peerPID(c net.Conn) int { return callerOf(c).pid }

// mayAll: uid 0 and our own uid.
func (c caller) mayAll() bool { return c.known && (c.uid == 0 || c.uid == os.Getuid()) }

// mayRead: members of the group to which the socket is open, too.
func (c caller) mayRead(readers int) bool {
	if c.mayAll() {
		return true
	}
	return c.known && readers >= 0 && (c.gid == readers || slices.Contains(c.groups, uint32(readers)))
}

// readersOf is the group to which a socket is open, or -1.
func readersOf(path string) int {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o060 != 0o060 {
		return -1
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return -1
	}
	return int(st.Gid)
}

// peer is what the history says of a caller.
func peer(r *http.Request) Peer {
	c := callerFrom(r)
	command := r.Header.Get(CommandHeader)
	if command == "" {
		command = r.Method + " " + r.URL.RequestURI()
	}
	return Peer{UID: c.uid, PID: c.pid, Command: printable(command)}
}

// printable bounds a text and replaces what could drive a terminal or look like another line.
func printable(text string) string {
	if len(text) > maxCommand {
		text = text[:maxCommand] + "…"
	}
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
}
