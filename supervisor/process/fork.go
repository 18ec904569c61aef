package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fork runs the job on the calling goroutine's thread, and leaves it in the v1 cgroups of the child.
// What does not need the thread is left to the caller of Start, so that the next fork need not wait for it.
func (s *Spawner) fork(t *thread, j *job) {
	if j.err = joinTasks(j.spec); j.err == nil {
		j.pid, j.pidfd, j.lateLimit, j.err = s.forkExec(t, j.spec)
	}
	if t.warning != "" {
		j.warnings = append(j.warnings, t.warning)
	}
}

// finish is the caller's part of a fork that has succeeded.
func (s *Spawner) finish(j *job) (*Process, error) {
	if j.err != nil {
		return nil, j.err
	}
	p, err := s.newborn(j.spec, j.pid, j.pidfd)
	if err != nil {
		return nil, err
	}
	p.Warnings = append(j.warnings, settle(j.spec, j.pid, j.lateLimit)...)
	return p, nil
}

// newborn makes the Process; a child that we cannot name for ever is killed rather than left running unwatched.
func (s *Spawner) newborn(spec Spec, pid, pidfd int) (*Process, error) {
	p, err := newProcess(pid, pidfd)
	if err != nil && isNoDescriptor(err) && s.reserve.release() {
		p, err = newProcess(pid, pidfd)
		_ = s.reserve.fill()
	}
	if err == nil {
		return p, nil
	}
	_ = unix.Kill(pid, unix.SIGKILL) // our own unreaped child: the number cannot be another's
	_, _ = unix.Wait4(pid, nil, 0, nil)
	if pidfd >= 0 {
		_ = unix.Close(pidfd)
	}
	return nil, &ExecError{Step: StepFork, Program: spec.Program, Path: spec.Program, Err: err}
}

// forkExec forks, with one more try for a shortage of descriptors and one for a kernel or seccomp profile that refuses clone3.
func (s *Spawner) forkExec(t *thread, spec Spec) (pid, pidfd int, lateLimit bool, err error) {
	late := spec.CgroupFD >= 0 && s.joinLate.Load()
	pid, pidfd, lateLimit, err = s.forkOnThread(t, spec, late)
	if isNoDescriptor(err) && s.reserve.release() {
		pid, pidfd, lateLimit, err = s.forkOnThread(t, spec, late)
		_ = s.reserve.fill() // or at the next start
	}
	if err != nil && spec.CgroupFD >= 0 && !late && (err == unix.ENOSYS || err == unix.EPERM) {
		var lateErr error
		if pid, pidfd, lateLimit, lateErr = s.forkOnThread(t, spec, true); lateErr == nil {
			s.joinLate.Store(true)
			return pid, pidfd, lateLimit, nil
		}
		err = lateErr
	}
	if err != nil {
		return 0, -1, false, diagnose(spec, err)
	}
	return pid, pidfd, lateLimit, nil
}

// forkOnThread is one fork and exec. With late the child is not born in its cgroup but stopped before its first instruction and moved.
func (s *Spawner) forkOnThread(t *thread, spec Spec, late bool) (pid, pidfd int, lateLimit bool, err error) {
	pidfd = -1
	attr := &syscall.ProcAttr{Dir: spec.Dir, Env: spec.Env, Files: descriptors(spec, s.null), Sys: sysAttr(spec, &pidfd, late)}
	t.withUmask(spec.umask(), func() {
		restore, limited := limitDescriptors(spec.NoFile)
		pid, err = syscall.ForkExec(spec.Program, spec.Argv, attr)
		restore()
		lateLimit = !limited
	})
	if err == nil && late {
		if err = joinStopped(pid, spec.CgroupFD); err != nil && pidfd >= 0 {
			_ = unix.Close(pidfd)
		}
	}
	return pid, pidfd, lateLimit, err
}

func sysAttr(spec Spec, pidfd *int, late bool) *syscall.SysProcAttr {
	sys := &syscall.SysProcAttr{Setsid: true, PidFD: pidfd, Ptrace: late}
	if spec.CgroupFD >= 0 && !late {
		sys.UseCgroupFD, sys.CgroupFD = true, spec.CgroupFD
	}
	if spec.UID != NoChange {
		sys.Credential = &syscall.Credential{Uid: uint32(spec.UID), Gid: uint32(spec.GID)}
		for _, g := range spec.Groups {
			sys.Credential.Groups = append(sys.Credential.Groups, uint32(g))
		}
	}
	sys.AmbientCaps, _ = capNumbers(spec.Caps) // checked by validate
	return sys
}

func descriptors(spec Spec, null int) []uintptr {
	number := func(f *os.File) uintptr {
		if f == nil {
			return uintptr(null)
		}
		return rawFD(f)
	}
	in, out := number(spec.Input), number(spec.Output)
	for _, fd := range []uintptr{in, out} {
		_ = unix.SetNonblock(int(fd), false) // os.Pipe's ends do not block, and a child would share that: its writes fail when the pipe is full
	}
	fds := []uintptr{in, out, out}
	for _, f := range spec.Files {
		fds = append(fds, number(f))
	}
	return fds
}

// rawFD is f's number; unlike f.Fd() it leaves a non-blocking socket of ours as it is.
func rawFD(f *os.File) uintptr {
	n := ^uintptr(0)
	if rc, err := f.SyscallConn(); err == nil {
		_ = rc.Control(func(fd uintptr) { n = fd })
	}
	return n
}

// joinTasks moves this thread into the v1 cgroups, so that its next child is born there.
func joinTasks(spec Spec) error {
	for _, file := range spec.TaskFiles {
		if err := writeZero(file); err != nil {
			return &ExecError{Step: StepCgroup, Program: spec.Program, Path: file, Err: err, gone: os.IsNotExist(err) || err == unix.ENODEV}
		}
	}
	return nil
}

// returnHome moves this thread back to our own cgroups.
func returnHome(spec Spec) error {
	for i, file := range spec.HomeFiles {
		if err := writeZero(file); err != nil {
			return fmt.Errorf("return from %s: write 0 to %s: %w", filepath.Dir(spec.TaskFiles[i]), file, err)
		}
	}
	return nil
}

// writeZero writes "0" to a tasks file: the kernel reads it as the calling thread.
func writeZero(file string) error {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte("0"))
	return err
}

// joinStopped moves a child that is stopped at its exec into the cgroup and lets it go.
func joinStopped(pid, cgroup int) error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return fmt.Errorf("wait for the stop before the first instruction: %w", err)
	}
	if !status.Stopped() {
		return fmt.Errorf("it ended before its first instruction: status %#x", int(status))
	}
	err := writeAt(cgroup, "cgroup.procs", strconv.Itoa(pid))
	if err == nil {
		err = unix.PtraceDetach(pid)
	}
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
	}
	return err
}

func writeAt(dir int, file, text string) error {
	fd, err := unix.Openat(dir, file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte(text))
	return err
}

// fdMargin is how many descriptors above those in use we leave ourselves while our own limit is a child's.
const fdMargin = 64

// limitDescriptors makes soft the limit of this process until restore is called, for the child to inherit.
// It does nothing, and reports false, where we have too many open ourselves: then the limit is set right after the exec.
//
// It goes around x/sys and package syscall: a limit set through them would switch off Go's own restoring of the original one for
// children that ask for none.
func limitDescriptors(soft uint64) (restore func(), ok bool) {
	if soft == 0 {
		return func() {}, true
	}
	var now unix.Rlimit
	free, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		_ = unix.Close(free)
	}
	if err != nil || uint64(free)+fdMargin > soft || ownLimit(nil, &now) != nil {
		return func() {}, false
	}
	want := unix.Rlimit{Cur: soft, Max: max(now.Max, soft)}
	if want.Max > now.Max && ownLimit(&want, nil) != nil { // only a privileged process raises the hard limit
		want = unix.Rlimit{Cur: now.Max, Max: now.Max}
	}
	if ownLimit(&want, nil) != nil {
		return func() {}, false
	}
	return func() { _ = ownLimit(&now, nil) }, true
}

func ownLimit(set, get *unix.Rlimit) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(get)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// settle sets what the kernel only lets us set from outside; what it refuses is a warning, not the end of the service.
func settle(spec Spec, pid int, lateLimit bool) []string {
	var out []string
	if err := os.WriteFile(procFile(pid, "oom_score_adj"), strconv.AppendInt(nil, int64(spec.OOMScoreAdj), 10), 0); err != nil && !isGone(err) {
		out = append(out, fmt.Sprintf("set oom_score_adj=%d: %v", spec.OOMScoreAdj, err))
	}
	if lateLimit {
		if err := lowerOrRaise(pid, spec.NoFile); err != nil && !isGone(err) {
			out = append(out, fmt.Sprintf("set the limit of descriptors to %d: %v", spec.NoFile, err))
		}
	}
	return out
}

func lowerOrRaise(pid int, soft uint64) error {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &now); err != nil {
		return err
	}
	if soft > now.Max && unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: soft, Max: soft}, nil) == nil {
		return nil
	}
	return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: min(soft, now.Max), Max: now.Max}, nil)
}
