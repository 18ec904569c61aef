package process

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// defaultTimerSlack is what init's children have, in nanoseconds. Source: INIT_TASK's timer_slack_ns, Linux 6.18.
const defaultTimerSlack = 50_000

// profile is what a thread gives its children for good: capabilities cannot come back once they are dropped, and an ordinary
// user cannot lower a nice value again.
type profile struct {
	caps []uintptr
	nice int
}

func (p profile) common() bool { return len(p.caps) == 0 && p.nice == 0 }

// thread is the operating system thread that the calling goroutine is locked to, prepared for forking.
type thread struct {
	ownUmask bool   // umask is this thread's alone (unshare(CLONE_FS) worked)
	umask    int    // in force
	warning  string // about what could not be had
}

// onThread runs f on a thread of its own, which ends with it. The main thread ends with nothing: it would stay for ever in a cgroup that it cannot leave.
func onThread(f func()) {
	locked, ended := make(chan struct{}), make(chan struct{})
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	go func() {
		defer close(ended)
		runtime.LockOSThread() // another one, as long as we hold the main one
		close(locked)
		f()
	}()
	<-locked
	runtime.UnlockOSThread()
	<-ended
}

// enterThread prepares the thread that the calling goroutine is locked to.
func enterThread(p profile) (*thread, error) {
	t := &thread{ownUmask: unix.Unshare(unix.CLONE_FS) == nil} // needs no privilege, but some seccomp profiles refuse it
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("set no_new_privs: %w", err)
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil); err != nil {
		return nil, fmt.Errorf("empty the signal mask: %w", err)
	}
	if err := clearInheritable(); err != nil {
		return nil, fmt.Errorf("empty the inheritable capabilities: %w", err)
	}
	if !dropBounding(p.caps) && unix.Geteuid() == 0 {
		t.warning = "capabilities stay within reach of uid 0: no CAP_SETPCAP to drop the bounding set"
	}
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, defaultTimerSlack, 0, 0, 0) // an ornament where it is refused
	if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), p.nice); err != nil && p.nice != 0 {
		t.warning = fmt.Sprintf("nice stays as it is: set nice=%d: %v", p.nice, err)
	}
	if t.ownUmask {
		unix.Umask(DefaultUmask)
		t.umask = DefaultUmask
	}
	return t, nil
}

// withUmask calls fork under the umask. Without a umask of the thread's own the whole process has it for the time of a fork (0.3 ms).
func (t *thread) withUmask(umask int, fork func()) {
	if t.ownUmask && t.umask == umask {
		fork()
		return
	}
	old := unix.Umask(umask)
	defer unix.Umask(old)
	fork()
}
