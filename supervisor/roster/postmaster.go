package roster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sourcegraph/appliance/services"
)

// CheckBeforeStart is what must hold before an instance is started and cannot be left to the program itself: no other server on PostgreSQL's data
// directory, and a program of the directory's major version. Other services have nothing to check.
func CheckBeforeStart(inst services.Instance) error {
	if inst.Service != "postgres" {
		return nil
	}
	for _, p := range inst.Prepare {
		if err := CheckCluster(p.Creates, inst.Program); err != nil {
			return err
		}
		if err := CheckPostmasterPID(p.Creates); err != nil {
			return err
		}
	}
	return nil
}

// OtherMajor is a data directory of another major version than the program's.
type OtherMajor struct{ Dir, DirMajor, Program, ProgramMajor string }

func (o *OtherMajor) Error() string {
	return fmt.Sprintf("the data in %s was made by PostgreSQL %s, but %s is PostgreSQL %s", o.Dir, o.DirMajor, o.Program, o.ProgramMajor)
}

// Hint names the package, since nothing may be changed in the directory.
func (o *OtherMajor) Hint() string {
	return "install that version beside the other: apt-get install postgresql-" + o.DirMajor + "; the data stays untouched"
}

// ExitCode is that of an invalid configuration.
func (o *OtherMajor) ExitCode() int { return CodeInvalid }

// CheckCluster compares the major version of a PostgreSQL data directory with the program's. A directory that is not there yet is fine.
func CheckCluster(dir, program string) error {
	content, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the version of PostgreSQL's data: %w", err)
	}
	major, err := programMajor(program)
	if err != nil {
		return err
	}
	if have := strings.TrimSpace(string(content)); have != major {
		return &OtherMajor{dir, have, program, major}
	}
	return nil
}

// programMajor asks the program: postgres (PostgreSQL) 15.18 is 15, 9.6.24 is 9.6.
func programMajor(program string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", program, err)
	}
	m := regexp.MustCompile(`\) (\d+)(?:\.(\d+))?`).FindStringSubmatch(string(out))
	if m == nil {
		return "", fmt.Errorf("ask %s for its version: it says %q", program, shorten(string(out), 80))
	}
	if n, _ := strconv.Atoi(m[1]); n < 10 {
		return m[1] + "." + m[2], nil
	}
	return m[1], nil
}

// OtherServer is a PostgreSQL that runs on a data directory although we did not start it.
type OtherServer struct {
	Dir string
	PID int
}

func (o *OtherServer) Error() string {
	return fmt.Sprintf("process %d is a PostgreSQL that runs on %s", o.PID, o.Dir)
}

// Hint says how to end it without loss.
func (o *OtherServer) Hint() string {
	return fmt.Sprintf("end it, which closes its connections and writes everything down: kill -INT %d", o.PID)
}

// ExitCode is that of a refusal.
func (o *OtherServer) ExitCode() int { return CodeRefused }

// CheckPostmasterPID decides about a postmaster.pid that a kill left behind.
//
// A server of this directory that is alive is refused, by pid. A pid that is another program's now, as after a reboot, would make PostgreSQL refuse to
// start for ever: the file is removed. One whose pid is dead is left to PostgreSQL, which also looks for surviving backends in its shared memory.
// One that is dead and that its new parent has not reaped yet would be alive to PostgreSQL: the file is removed, too.
func CheckPostmasterPID(dir string) error {
	if pid := serverOn(dir); pid != 0 {
		return &OtherServer{dir, pid}
	}
	path := filepath.Join(dir, "postmaster.pid")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for another PostgreSQL on %s: %w", dir, err)
	}
	first, _, _ := bytes.Cut(content, []byte("\n"))
	pid, err := strconv.Atoi(strings.TrimSpace(string(first)))
	if err == nil && pid > 0 {
		process := filepath.Join("/proc", strconv.Itoa(pid))
		if alive, err := exists(process); err == nil && !alive {
			return nil
		}
		if isPostgres(process) && !isZombie(process) && !cwdKnown(process) {
			return &OtherServer{dir, pid} // of another user: nothing proves that it is not this directory's
		}
	}
	if err := os.Remove(path); err != nil { // not a number (a torn write), or the pid of something else
		return fmt.Errorf("remove a leftover of a PostgreSQL that is dead: %w", err)
	}
	return nil
}

// serverOn finds a process called postgres whose working directory is dir: the postmaster and every backend change into it.
func serverOn(dir string) int {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return 0
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0
	}
	for _, p := range processes {
		if !isPostgres(p) {
			continue
		}
		if cwd, err := os.Readlink(p + "/cwd"); err == nil && cwd == real {
			pid, _ := strconv.Atoi(filepath.Base(p))
			return pid
		}
	}
	return 0
}

func isPostgres(process string) bool {
	comm, err := os.ReadFile(process + "/comm")
	return err == nil && strings.TrimSpace(string(comm)) == "postgres"
}

// isZombie says that a process is dead, and that its parent has not asked for its end.
func isZombie(process string) bool {
	stat, err := os.ReadFile(process + "/stat")
	if err != nil {
		return false
	}
	_, state, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	return bytes.HasPrefix(state, []byte("Z"))
}

func cwdKnown(process string) bool {
	_, err := os.Readlink(process + "/cwd")
	return err == nil
}
