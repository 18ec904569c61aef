package process

import (
	"fmt"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Exit is how a process ended.
type Exit struct {
	Known  bool           // false: it is not our child, its parent has the status
	Code   int            // exit status 0..255; 0 when a signal ended it
	Signal syscall.Signal // 0 when it exited by itself
	Core   bool           // a core was dumped
	Status int            // as wait4(2) encodes it

	CPU    time.Duration // user and system, its reaped children included
	MaxRSS int64         // bytes, the largest of it and of its reaped children
}

// ExitOf decodes a wait status, as stage 0 reports it.
func ExitOf(status int) Exit {
	ws := syscall.WaitStatus(status)
	e := Exit{Known: true, Status: status}
	if ws.Signaled() {
		e.Signal, e.Core = ws.Signal(), ws.CoreDump()
	} else {
		e.Code = ws.ExitStatus()
	}
	return e
}

// SignalName is the signal without SIG, or empty.
func (e Exit) SignalName() string {
	if e.Signal == 0 {
		return ""
	}
	if name := unix.SignalName(e.Signal); name != "" {
		return strings.TrimPrefix(name, "SIG")
	}
	return fmt.Sprintf("%d", int(e.Signal))
}

func (e Exit) String() string {
	switch {
	case !e.Known:
		return "ended, status not known"
	case e.Signal != 0 && e.Core:
		return "killed by " + e.SignalName() + ", core dumped"
	case e.Signal != 0:
		return "killed by " + e.SignalName()
	default:
		return fmt.Sprintf("exit %d", e.Code)
	}
}

// childInfo is the part of siginfo_t that waitid fills in on 64-bit machines.
type childInfo struct {
	signo, errno, code, _ int32
	pid, uid, status      int32
}

const (
	cldExited = 1 // linux/siginfo: CLD_EXITED; CLD_KILLED is 2
	cldDumped = 3
)

func exitFrom(info *unix.Siginfo, usage *unix.Rusage) Exit {
	ci := (*childInfo)(unsafe.Pointer(info))
	status := int(ci.status)
	switch ci.code {
	case cldExited:
		status <<= 8
	case cldDumped:
		status |= 0x80
	}
	e := ExitOf(status)
	e.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	e.MaxRSS = usage.Maxrss * 1024
	return e
}
