package fault

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// escapeLife is how long a helper lives if nobody kills it.
const escapeLife = 10 * time.Minute

// The names under which the program is started again; [Helper] knows them.
const (
	roleFork   = "demo-escape-fork"   // starts the helpers, exits, and so orphans them
	roleEscape = "demo-escape-helper" // the helper
)

// fork starts the helpers by a process in between, which is gone when fork returns.
func (f *Fault) fork() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start DEMO_FORK_ESCAPE helpers: %w", err)
	}
	cmd := detached(self, roleFork, strconv.Itoa(f.escape))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("start DEMO_FORK_ESCAPE=%d helpers: %w", f.escape, err)
	}
	return nil
}

// Helper plays the part of an escaped helper if args (those of the process) ask for it; main calls it before anything else.
func Helper(args []string) (code int, is bool) {
	if len(args) == 0 {
		return 0, false
	}
	switch args[0] {
	case roleFork:
		return forkHelpers(args[1:]), true
	case roleEscape:
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
		time.Sleep(escapeLife)
		return 0, true
	}
	return 0, false
}

func forkHelpers(args []string) int {
	self, err := os.Executable()
	if err != nil || len(args) != 1 {
		return 1
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return 1
	}
	for range n {
		if detached(self, roleEscape).Start() != nil {
			return 1
		}
	}
	return 0
}

// detached keeps stderr, as real daemons do that nobody taught to let go of it.
func detached(self, role string, args ...string) *exec.Cmd {
	cmd := exec.Command(self)
	cmd.Args = append([]string{role}, args...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}
