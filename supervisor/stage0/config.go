package stage0

import (
	"io"
	"os"
	"path/filepath"
	"time"
)

// Config is what `run` hands over; everything is parsed and absolute.
type Config struct {
	Argv        []string      // of stage 1, after argv[0]
	Env         []string      // of stage 1; nil: ours. The NOTIFY_SOCKET and WATCHDOG_ variables in it are for us, and are taken out
	DataDir     string        // created if missing
	RunDir      string        // exists; becomes the working directory of stage 1
	Fallback    string        // program of stage 1 without an active release, or when that one fails; default /proc/self/exe
	Active      func() string // program of the active release or ""; default [ActiveProgram] of DataDir
	StopTimeout time.Duration // from the order to stop until everything left is killed; default 180 s
	Log         io.Writer     // may stall: lines are then dropped and counted; default stderr
	Timings     Timings
}

// Timings are the patience of stage 0. A zero field means its default; tests shorten them.
type Timings struct {
	BeatTimeout time.Duration // without BEAT for so long stage 1 is wedged; 30 s. While stopping at most a third of StopTimeout
	DumpWait    time.Duration // from SIGQUIT to SIGKILL of a wedged stage 1, and from DONE to its end; 3 s
	ShortLife   time.Duration // a life under this counts towards the fallback; 10 s
	BackoffMin  time.Duration // pause after the first short life, doubled by each further one; 100 ms
	BackoffMax  time.Duration // 10 s
	KillWait    time.Duration // how long what was killed may take to be dead; 10 s
}

// fallbackAfter is the number of consecutive short lives after which the other program is tried.
const fallbackAfter = 3

// sweepEvery is the safety net below SIGCHLD (E17; runit takes 14 s).
const sweepEvery = 15 * time.Second

func (c Config) withDefaults() Config {
	if c.Env == nil {
		c.Env = os.Environ()
	}
	if c.Fallback == "" {
		c.Fallback = "/proc/self/exe"
	}
	if c.Active == nil {
		data := c.DataDir
		c.Active = func() string { return ActiveProgram(data) }
	}
	if c.StopTimeout <= 0 {
		c.StopTimeout = 180 * time.Second
	}
	if c.Log == nil {
		c.Log = os.Stderr
	}
	t := &c.Timings
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.BeatTimeout, 30 * time.Second}, {&t.DumpWait, 3 * time.Second}, {&t.ShortLife, 10 * time.Second},
		{&t.BackoffMin, 100 * time.Millisecond}, {&t.BackoffMax, 10 * time.Second}, {&t.KillWait, 10 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return c
}

// ActiveProgram is bin/sourcegraph of the release that <dataDir>/state/active names, as a symbolic link or as a file
// that holds the directory's name; "" if there is none that can be run.
func ActiveProgram(dataDir string) string {
	name := activeRelease(filepath.Join(dataDir, "state", "active"))
	if name == "" {
		return ""
	}
	program := filepath.Join(dataDir, "releases", name, "bin", "sourcegraph")
	if info, err := os.Stat(program); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
		return ""
	}
	return program
}

// activeRelease is the plain directory name behind the pointer; anything else is none.
func activeRelease(pointer string) string {
	if target, err := os.Readlink(pointer); err == nil {
		return plainName(filepath.Base(target))
	}
	content, err := readSmall(pointer)
	if err != nil {
		return ""
	}
	return plainName(content)
}
