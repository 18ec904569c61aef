package stage0

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// notifier speaks sd_notify(3); without NOTIFY_SOCKET it is silent.
type notifier struct {
	fd      int
	to      unix.Sockaddr
	every   time.Duration // between WATCHDOG=1; 0: not wanted
	unsent  []string      // what a full queue refused, oldest first
	nextDog time.Time
}

// maxUnsent bounds what waits for systemd.
const maxUnsent = 16

// takeNotifier reads the variables that are meant for us and returns the environment without them.
func takeNotifier(env []string) (*notifier, []string) {
	var socket, usec, pid string
	rest := make([]string, 0, len(env))
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		switch name {
		case "NOTIFY_SOCKET":
			socket = value
		case "WATCHDOG_USEC":
			usec = value
		case "WATCHDOG_PID":
			pid = value
		default:
			rest = append(rest, v)
		}
	}
	n := &notifier{fd: -1}
	if !strings.HasPrefix(socket, "/") && !strings.HasPrefix(socket, "@") {
		return n, rest
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return n, rest
	}
	n.fd, n.to = fd, &unix.SockaddrUnix{Name: socket} // a leading @ means the abstract name space, as in sd_notify
	if us, err := strconv.ParseInt(usec, 10, 64); err == nil && us > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.every = time.Duration(us) * time.Microsecond / 2
	}
	return n, rest
}

// send passes lines on, after those that could not be sent before; it never waits.
func (n *notifier) send(lines ...string) {
	if n.fd < 0 {
		return
	}
	if len(lines) > 0 && len(n.unsent) < maxUnsent {
		n.unsent = append(n.unsent, strings.Join(lines, "\n"))
	}
	for len(n.unsent) > 0 {
		err := unix.Sendto(n.fd, []byte(n.unsent[0]), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, n.to)
		if err == unix.EAGAIN || err == unix.EINTR {
			return // the next tick tries again
		}
		n.unsent = n.unsent[1:]
	}
}

// tick sends what is due.
func (n *notifier) tick(now time.Time) {
	n.send()
	if n.every > 0 && !now.Before(n.nextDog) {
		n.nextDog = now.Add(n.every)
		n.send("WATCHDOG=1")
	}
}

// due is when tick has work; zero: never.
func (n *notifier) due(now time.Time) time.Time {
	if len(n.unsent) > 0 {
		return now.Add(100 * time.Millisecond)
	}
	if n.every > 0 {
		return n.nextDog
	}
	return time.Time{}
}

func statusLine(text string) string {
	return "STATUS=" + strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)
}

func extendLine(d time.Duration) string {
	return fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", max(d, time.Second).Microseconds())
}

func reloadingLines() []string {
	return []string{"RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", int64(monotonic())/1000)}
}

func (n *notifier) close() {
	if n.fd >= 0 {
		unix.Close(n.fd)
	}
}
