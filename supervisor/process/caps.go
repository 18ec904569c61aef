package process

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// capNames are the capabilities by number. Source: linux/capability.h, Linux 6.18; the last one is number 40.
var capNames = [...]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE",
	"SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE",
	"AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

// lastCap is the highest number a kernel could know; PR_CAPBSET_DROP answers EINVAL above the highest it does know.
const lastCap = 63

func capNumbers(names []string) ([]uintptr, error) {
	var numbers []uintptr
	for _, name := range names {
		i := slices.Index(capNames[:], strings.TrimPrefix(strings.ToUpper(name), "CAP_"))
		if i < 0 {
			return nil, fmt.Errorf("unknown capability %q", name)
		}
		numbers = append(numbers, uintptr(i))
	}
	return numbers, nil
}

// Capable reports whether the calling thread has every one of the named capabilities in effect.
func Capable(names ...string) bool {
	numbers, err := capNumbers(names)
	if err != nil {
		return false
	}
	effective := threadCaps()
	for _, n := range numbers {
		if effective&(1<<n) == 0 {
			return false
		}
	}
	return true
}

func threadCaps() uint64 {
	var data [2]unix.CapUserData
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if unix.Capget(&hdr, &data[0]) != nil {
		return 0
	}
	return uint64(data[0].Effective) | uint64(data[1].Effective)<<32
}

// dropBounding takes every capability but keep from the bounding set of this thread, so that no exec of its children can gain one.
// The thread itself keeps what it has. It reports false where the kernel does not let us (no SETPCAP): there is then nothing to gain either,
// since no_new_privs stops set-uid programs and an ordinary user's exec grants none.
func dropBounding(keep []uintptr) bool {
	for n := uintptr(0); n <= lastCap; n++ {
		if slices.Contains(keep, n) {
			continue
		}
		switch err := unix.Prctl(unix.PR_CAPBSET_DROP, n, 0, 0, 0); err {
		case nil:
		case unix.EINVAL:
			return true
		default:
			return false
		}
	}
	return true
}

// clearInheritable empties the ambient and inheritable sets of this thread: at exec uid 0 would gain the latter whatever the bounding set says.
func clearInheritable() error {
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) // EINVAL before Linux 4.3, which has no ambient set
	var data [2]unix.CapUserData
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return err
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	_, _, errno := unix.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
