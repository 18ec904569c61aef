package main

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// makeOrphans has a child of ours make them, and end. Each lives until the last writer closes the fifo.
func makeOrphans() {
	cmd := exec.Command("/proc/self/exe", append(os.Args[1:], "role=parent")...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		fail(err)
	}
}

func parent(count int, fifo, pids string) {
	fd, err := unix.Open(fifo, unix.O_RDONLY, 0)
	if err != nil {
		fail(err)
	}
	list := make([]byte, 0, 8*count)
	for range count {
		pid := fork(uintptr(fd))
		if pid <= 0 {
			fail(syscall.Errno(-pid))
		}
		list = append(strconv.AppendInt(list, int64(pid), 10), '\n')
	}
	if err := os.WriteFile(pids, list, 0o644); err != nil {
		fail(err)
	}
}

// fork makes a process that waits for the end of file and ends: no exec, so that ten thousand of them fit. The child has one thread
// and does nothing but two system calls.
//
//go:norace
//go:noinline
func fork(fd uintptr) int {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return -int(errno)
	}
	if pid != 0 {
		return int(pid)
	}
	var b [1]byte
	waitForEnd(fd, &b)
	return 0
}

//go:norace
//go:noinline
func waitForEnd(fd uintptr, b *[1]byte) {
	for {
		_, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, addressOf(b), 1)
		if errno != syscall.EINTR {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
}
