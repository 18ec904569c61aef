package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// diagnose turns the bare errno of a fork and exec into the step and the path it belongs to. The kernel does not say, so we look: first at the
// cgroup, whose absence it reports in the words for a missing binary, then at the steps in the order in which the child takes them.
func diagnose(spec Spec, err error) error {
	e := &ExecError{Step: StepExec, Program: spec.Program, Path: spec.Program, Err: err}
	switch {
	case cgroupGone(spec):
		e.Step, e.Path, e.gone = StepCgroup, cgroupPath(spec), true
		e.Detail = "the cgroup was removed meanwhile"
	case isShortage(err):
		e.Step = StepFork
		e.Limit = reachedLimit(spec, err)
	case errors.Is(err, unix.ETXTBSY):
		e.Detail = "somebody has the program open for writing"
		e.Remedy = "write a program beside its place and rename it"
	case errors.Is(err, unix.E2BIG):
		e.Detail = "arguments and environment are too long"
	case isCgroupRefusal(spec, err):
		e.Step, e.Path = StepCgroup, cgroupPath(spec)
		e.Detail = "the kernel does not let a process be born there"
	case missingCapability(spec, err) != "":
		e.Step, e.Path = StepCredentials, fmt.Sprintf("%d:%d", spec.UID, spec.GID)
		e.Detail = missingCapability(spec, err)
	default:
		diagnosePaths(e, spec)
	}
	return e
}

func diagnosePaths(e *ExecError, spec Spec) {
	who := identityOf(spec)
	if fault := checkDirectory(spec.Dir, who); fault != nil {
		e.Step, e.Path, e.Detail, e.Remedy = StepChdir, fault.path, fault.detail, fault.remedy
		return
	}
	if fault := checkProgram(spec.Program, who); fault != nil {
		e.Step, e.Path, e.Detail, e.Remedy = fault.step, fault.path, fault.detail, fault.remedy
	}
}

func isShortage(err error) bool {
	return isNoDescriptor(err) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOMEM)
}

// cgroupGone looks whether the group that the child should be born in is still there.
func cgroupGone(spec Spec) bool {
	if spec.CgroupFD < 0 {
		return false
	}
	fd, err := unix.Openat(spec.CgroupFD, "cgroup.procs", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err == unix.ENOENT || err == unix.ENODEV
}

// isCgroupRefusal knows the answers that only CLONE_INTO_CGROUP gives: a group of threads, one with children that have controllers, not a cgroup at all.
func isCgroupRefusal(spec Spec, err error) bool {
	if spec.CgroupFD < 0 {
		return false
	}
	for _, refusal := range []error{unix.EBUSY, unix.EOPNOTSUPP, unix.EBADF, unix.ENODEV} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

func cgroupPath(spec Spec) string {
	if path, err := os.Readlink(filepath.Join("/proc/self/fd", fmt.Sprint(spec.CgroupFD))); err == nil {
		return path
	}
	return fmt.Sprintf("descriptor %d", spec.CgroupFD)
}

// missingCapability explains a refused change of user or group.
func missingCapability(spec Spec, err error) string {
	if spec.UID == NoChange {
		return ""
	}
	switch {
	case errors.Is(err, unix.EPERM) && !Capable("SETUID", "SETGID"):
		return "changing user and groups needs CAP_SETUID and CAP_SETGID"
	case errors.Is(err, unix.EPERM) && len(spec.Caps) > 0 && !Capable(spec.Caps...):
		return fmt.Sprintf("capabilities %v are not ours to give", spec.Caps)
	case errors.Is(err, unix.EPERM):
		return "the kernel refused the user, the groups or the capabilities"
	case errors.Is(err, unix.EINVAL):
		return fmt.Sprintf("user, group or one of the groups %v does not exist in this user namespace", spec.Groups)
	}
	return ""
}
