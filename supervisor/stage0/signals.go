package stage0

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// signals are all that can be caught (E15), sorted so that a flood of one kind never hides another.
type signals struct {
	stop   chan os.Signal // TERM, INT, PWR
	child  chan os.Signal // CHLD
	hangup chan os.Signal // HUP
	quit   chan os.Signal // QUIT
	deaf   chan os.Signal // claimed so that they do nothing; never read
	nohup  bool           // HUP was ignored when we were started
	tty    int            // the controlling terminal, or -1
}

// claimSignals comes before anything else.
func claimSignals() *signals {
	s := &signals{
		stop: make(chan os.Signal, 1), child: make(chan os.Signal, 1), hangup: make(chan os.Signal, 1),
		quit: make(chan os.Signal, 1), deaf: make(chan os.Signal, 1),
		nohup: signal.Ignored(unix.SIGHUP),
	}
	signal.Notify(s.stop, unix.SIGTERM, unix.SIGINT, unix.SIGPWR)
	signal.Notify(s.child, unix.SIGCHLD)
	signal.Notify(s.hangup, unix.SIGHUP) // also under nohup: caught and dropped, so that children do not inherit "ignored"
	signal.Notify(s.quit, unix.SIGQUIT)
	signal.Notify(s.deaf, harmless()...)
	ignoreTerminal()
	tty, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		tty = -1
	}
	s.tty = tty
	return s
}

// harmless are the signals without a meaning for us. URG is the Go runtime's, 32 to 34 belong to the C library.
func harmless() []os.Signal {
	var all []os.Signal
	for n := syscall.Signal(1); n <= 64; n++ {
		switch n {
		case unix.SIGKILL, unix.SIGSTOP, unix.SIGURG, unix.SIGCHLD, unix.SIGHUP, unix.SIGQUIT,
			unix.SIGTERM, unix.SIGINT, unix.SIGPWR, unix.SIGTTIN, unix.SIGTTOU, 32, 33, 34:
		default:
			all = append(all, n)
		}
	}
	return all
}

// ignoreTerminal makes reads from and writes to a terminal that is not ours fail or pass instead of stopping us. A
// caught TTOU would be raised again and again by the restarted write.
func ignoreTerminal() { signal.Ignore(unix.SIGTTIN, unix.SIGTTOU) }

// catchTerminal undoes it around a fork: what is ignored is inherited, what is caught is not (E14). signal.Reset would
// leave it ignored: measured.
func catchTerminal(c chan<- os.Signal) { signal.Notify(c, unix.SIGTTIN, unix.SIGTTOU) }

// terminalGone says that the terminal we were started from has hung up.
func (s *signals) terminalGone() bool {
	if s.tty < 0 {
		return false
	}
	fds := []unix.PollFd{{Fd: int32(s.tty)}}
	n, err := unix.Poll(fds, 0)
	return err == nil && n > 0 && fds[0].Revents&unix.POLLHUP != 0
}

// release gives the signals back; only tests outlive it.
func (s *signals) release() {
	for _, c := range []chan os.Signal{s.stop, s.child, s.hangup, s.quit, s.deaf} {
		signal.Stop(c)
	}
	if s.tty >= 0 {
		unix.Close(s.tty)
	}
}
