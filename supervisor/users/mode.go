package users

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/sourcegraph/appliance/supervisor/process"
)

// Mode is whether services are separated from each other.
type Mode string

// The modes of process-model section 5.
const (
	Root    Mode = "root"
	OneUser Mode = "one user"
)

// needed are the capabilities that uid 0 must have to run services as other users. Without them initdb refuses to run as root, setresuid
// fails, and services cannot be killed (measured under docker run --user 0 --cap-drop ALL).
var needed = [...]string{"SETUID", "SETGID", "CHOWN", "KILL", "DAC_OVERRIDE", "FOWNER"}

// Detect finds the mode of this process. The error is a *RefusedError.
func Detect() (Mode, error) {
	return detect(os.Geteuid(), func(name string) bool { return process.Capable(name) })
}

func detect(uid int, has func(string) bool) (Mode, error) {
	if uid != 0 {
		return OneUser, nil
	}
	missing := slices.DeleteFunc(slices.Clone(needed[:]), has)
	if len(missing) == 0 {
		return Root, nil
	}
	return "", &RefusedError{
		Message: "uid 0 without the capabilities " + strings.Join(missing, ", ") + " can neither run services as users of their own nor stop them",
		Remedy:  "start it with --user 10001:0, or leave it these capabilities",
	}
}

// RefusedError is a start that cannot go well and must not be tried again before somebody changes something.
type RefusedError struct{ Message, Remedy string }

func (e *RefusedError) Error() string { return e.Message }

// Hint is what to change.
func (e *RefusedError) Hint() string { return e.Remedy }

// ExitCode is that of an invalid configuration.
func (e *RefusedError) ExitCode() int { return 2 }

func foreign(dir string, owner, us uint32) error {
	return &RefusedError{
		Message: fmt.Sprintf("directory %s belongs to uid %d, we run as uid %d", dir, owner, us),
		Remedy:  fmt.Sprintf("run as uid %d, or as root once, or: chown -R %d %s", owner, us, dir),
	}
}
