package process

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Step is the part of a start that went wrong.
type Step string

// The steps of a start, in their order.
const (
	StepSpec        Step = "check"       // the Spec itself
	StepCgroup      Step = "cgroup"      // being born in its cgroup
	StepFork        Step = "fork"        // a new process, its descriptors
	StepCredentials Step = "credentials" // groups, user, capabilities
	StepChdir       Step = "chdir"       // working directory
	StepExec        Step = "exec"        // the program itself
	StepInterpreter Step = "interpreter" // the program's loader, or what its first line names
)

// ExecError says at which step a start failed and why. Nothing is left running.
type ExecError struct {
	Step    Step
	Program string
	Path    string // what the step was about: the program, the directory, the interpreter, the cgroup
	Detail  string // what was found out; may be empty
	Remedy  string // may be empty
	Limit   string // the limit that was reached, when one was: "pids.max=100 of /sys/fs/cgroup/…"
	Err     error  // the kernel's errno, as a rule

	gone bool // the cgroup has vanished: a new one helps
}

func (e *ExecError) Error() string {
	text := fmt.Sprintf("start %s: %s", e.Program, e.Step)
	if e.Path != "" && e.Path != e.Program {
		text += " " + e.Path
	}
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.Limit != "" {
		text += ": " + e.Limit
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *ExecError) Unwrap() error { return e.Err }

// Hint is the remedy, if one is known.
func (e *ExecError) Hint() string { return e.Remedy }

// CgroupGone reports that the cgroup was removed under us: make it again and start again.
func (e *ExecError) CgroupGone() bool { return e.gone }

// Permanent reports that trying again cannot help before somebody changes something. A shortage, a vanished cgroup and a program that is being
// written are not permanent.
func (e *ExecError) Permanent() bool {
	if e.gone {
		return false
	}
	for _, passing := range []error{unix.EAGAIN, unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.ETXTBSY, unix.EINTR, unix.ENOSPC} {
		if errors.Is(e.Err, passing) {
			return false
		}
	}
	return e.Step != StepFork
}
