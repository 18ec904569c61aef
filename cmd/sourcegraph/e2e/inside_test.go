package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// command is the binary as a client of this appliance.
func (a *appliance) command(args ...string) *exec.Cmd {
	return exec.Command(a.b.binary, append([]string{"--data", a.data(), "--run-dir", filepath.Join(a.data(), "run")}, args...)...)
}

// say runs a client to its end and gives its exit code and all that it wrote.
func (a *appliance) say(args ...string) (code int, text string) {
	a.t.Helper()
	out, err := a.command(args...).CombinedOutput()
	if err != nil {
		require.IsType(a.t, &exec.ExitError{}, err)
		return err.(*exec.ExitError).ExitCode(), string(out)
	}
	return 0, string(out)
}

// TestInside goes into services as a person does: a command in one's surroundings, a shell of the database, the live screen.
func TestInside(t *testing.T) {
	t.Parallel()
	a := install(t)
	a.up()

	a.step(t, "exec has the service's user, limits, directory and environment", func(t *testing.T) {
		s := a.service("gitserver")
		code, text := a.say("exec", "gitserver", "--", "/bin/sh", "-c", `grep ^Uid /proc/self/status; grep ^NoNewPrivs /proc/self/status; pwd; echo "repos $SRC_REPOS_DIR"; cat /proc/self/cgroup`)
		require.Equal(t, 0, code, text)
		require.Contains(t, text, fmt.Sprintf("Uid:\t%d\t", uidOf(t, s.PID)))
		require.Contains(t, text, "NoNewPrivs:\t1")
		require.Contains(t, text, "repos "+a.data()+"/")
		dir, err := os.Readlink("/proc/" + strconv.Itoa(s.PID) + "/cwd")
		require.NoError(t, err)
		require.Contains(t, text, dir+"\n")
		groups, err := os.ReadFile("/proc/" + strconv.Itoa(s.PID) + "/cgroup")
		require.NoError(t, err)
		require.True(t, strings.HasSuffix(text, string(groups)), "%s\nis not in\n%s", text, groups)
	})

	a.step(t, "exec gives the command's exit code, and is refused with a reason", func(t *testing.T) {
		code, _ := a.say("exec", "searcher", "--", "/bin/sh", "-c", "exit 41")
		require.Equal(t, 41, code)
		for want, args := range map[string][]string{
			`there is no service "gitsever"`: {"exec", "gitsever", "--", "id"},
			`there is no program "nonesuch"`: {"exec", "gitserver", "--", "nonesuch"},
			`needs a SERVICE`:                {"exec", "gitserver"},
		} {
			code, text := a.say(args...)
			require.Equal(t, 2, code, text)
			require.Contains(t, text, want)
		}
		code, text := a.say("events", "gitserver")
		require.Equal(t, 0, code)
		require.Contains(t, text, "exec", "who went in is on record")
	})

	a.step(t, "psql reaches each database, with its password on no command line", func(t *testing.T) {
		for database, want := range map[string]string{"": "sg", "codeintel": "codeintel", "codeinsights": "codeinsights"} {
			args := []string{"psql"}
			if database != "" {
				args = append(args, database)
			}
			code, text := a.say(append(args, "--", "-Atc", "select current_database()")...)
			require.Equal(t, 0, code, text)
			require.Equal(t, want+"\n", text)
		}
		code, text := a.say("psql", "--", "-Atc", `\! tr '\0' ' ' </proc/$PPID/cmdline`)
		require.Equal(t, 0, code, text)
		require.Contains(t, text, "psql")
		for _, secret := range a.secretsOf() {
			require.NotContains(t, text, secret)
		}
	})

	a.step(t, "top shows the services on a terminal, sorts, and leaves it as it was", func(t *testing.T) {
		tty := openTerminal(t)
		cmd := a.command("top")
		cmd.Env = append(os.Environ(), "TERM=xterm")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty.slave, tty.slave, tty.slave
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		before := tty.mode(t)
		require.NoError(t, cmd.Start())
		tty.until(t, "frontend")
		tty.until(t, "MEMORY")
		tty.press(t, "m")
		tty.until(t, "\x1b[H") // another picture
		tty.press(t, "q")
		require.NoError(t, cmd.Wait())
		tty.until(t, "\x1b[?1049l")
		require.Equal(t, before, tty.mode(t))
	})

	a.step(t, "top off a terminal is one picture", func(t *testing.T) {
		code, text := a.say("top", "--sort", "memory")
		require.Equal(t, 0, code, text)
		require.Contains(t, text, "postgres")
		require.NotContains(t, text, "\x1b")
	})
	require.Equal(t, 0, a.stop(), a.out)
}

// terminal is a pseudo-terminal whose other end this test holds.
type terminal struct {
	master, slave *os.File
	seen          string // what was read and not yet looked for
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { master.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { slave.Close() })
	require.NoError(t, unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120}))
	return &terminal{master: master, slave: slave}
}

func (p *terminal) mode(t *testing.T) unix.Termios {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	require.NoError(t, err)
	return *mode
}

func (p *terminal) press(t *testing.T, keys string) {
	t.Helper()
	_, err := p.master.WriteString(keys)
	require.NoError(t, err)
}

// until reads up to a text; the binary ends itself, and with it this read, should it never come.
func (p *terminal) until(t *testing.T, text string) {
	t.Helper()
	p.upTo(t, text)
}

// upTo does so and gives what came before.
func (p *terminal) upTo(t *testing.T, text string) (before string) {
	t.Helper()
	buf := make([]byte, 4096)
	for !strings.Contains(p.seen, text) {
		n, err := p.master.Read(buf)
		require.NoError(t, err, "after %q", p.seen)
		p.seen += string(buf[:n])
	}
	before, p.seen, _ = strings.Cut(p.seen, text)
	return before
}
