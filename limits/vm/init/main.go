// Command init is process 1 of the virtual machine of package vm: it mounts what tests expect, runs them, tells how they ended
// on the console and powers the machine off.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/sourcegraph/appliance/limits/vm"
)

func main() {
	status := 125 // ours, when the tests cannot be run
	if err := prepare(); err != nil {
		fmt.Println("vm: init:", err)
	} else if status, err = runTests(os.Args[1:]); err != nil {
		fmt.Println("vm: init:", err)
	}
	fmt.Printf("\n%s\n", vm.ExitLine(status))
	unix.Sync()
	fmt.Println("vm: power off:", unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF))
}

func prepare() error {
	for _, m := range []struct{ dir, kind, options string }{
		{"/proc", "proc", ""},
		{"/sys", "sysfs", ""},
		{"/dev", "devtmpfs", ""},
		{"/dev/pts", "devpts", "ptmxmode=0666"},
		{"/dev/shm", "tmpfs", "mode=1777"},
		{"/tmp", "tmpfs", "mode=1777"},
		{"/run", "tmpfs", "mode=0755"},
		{"/sys/fs/cgroup", "cgroup2", ""},
	} {
		_ = os.Mkdir(m.dir, 0o755) // most exist
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, m.options); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.dir, err)
		}
	}
	return loopback()
}

// loopback brings up the interface lo; the kernel gives it its addresses.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	request.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	return nil
}

// runTests also reaps what the tests leave behind, as process 1 must.
func runTests(args []string) (int, error) {
	tests, err := os.StartProcess("/tests", append([]string{"/tests"}, args...), &os.ProcAttr{
		Dir:   "/tmp",
		Env:   []string{"VM_GUEST=1", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8"},
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return 125, err
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err != nil && err != unix.EINTR {
			return 125, fmt.Errorf("wait for the tests: %w", err)
		}
		if pid != tests.Pid {
			continue
		}
		if status.Signaled() {
			return 128 + int(status.Signal()), nil
		}
		return status.ExitStatus(), nil
	}
}
