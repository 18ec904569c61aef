package gitserver

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
)

// fsckMalformed is the bit of git-fsck's exit status for objects that break a rule of form. Old histories are full of them, and a new clone would
// have them again: alone it is no damage. The other bits are missing objects, bad packs and bad refs.
const fsckMalformed = 1

// verify has git check that everything reachable is there and every object can be read. nil when it is so, or when nobody could say because ctx ended.
func (s *Store) verify(ctx context.Context, dir string) error {
	damage := ""
	look := func(line string) {
		if damage == "" && isDamage(line) {
			damage = line
		}
	}
	out := newTail(look)
	args := []string{"--git-dir=" + dir, "fsck", "--full", "--no-dangling", "--no-progress"}
	err := s.git.run(ctx, command{args: args, watch: look, stdout: out, nice: 10})
	var exit *exec.ExitError
	switch {
	case err == nil || ctx.Err() != nil:
		return nil
	case damage == "" && errors.As(err, &exit) && exit.ExitCode() == fsckMalformed:
		return nil
	case damage == "":
		damage = err.Error()
	}
	return &Error{Code: ErrCorrupt, Text: "check " + filepath.Dir(dir) + ": " + damage}
}

func isDamage(line string) bool {
	for _, start := range []string{"error: ", "fatal: ", "missing ", "broken link", "bad ", "invalid "} {
		if strings.HasPrefix(line, start) {
			return true
		}
	}
	return false
}
