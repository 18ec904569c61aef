package gitserver

import (
	"context"
	"path/filepath"
	"strings"
	"sync"
)

// verify has git check that everything reachable is there and every object can be read. nil when it is so, or when nobody could say because ctx ended.
//
// git-fsck also fails for objects that break a rule of form ("error in commit …: missingEmail"). Old histories are full of them, and a new clone would
// have them again: they are no damage.
func (s *Store) verify(ctx context.Context, dir string) error {
	damage, malformed := "", false
	var mu sync.Mutex // findings come on stdout, what git could not do on stderr
	look := func(line string) {
		mu.Lock()
		defer mu.Unlock()
		malformed = malformed || strings.HasPrefix(line, "error in ")
		if damage == "" && isDamage(line) {
			damage = line
		}
	}
	args := []string{"--git-dir=" + dir, "fsck", "--full", "--no-dangling", "--no-progress"}
	err := s.git.run(ctx, command{args: args, watch: look, stdout: newTail(look), nice: 10})
	switch {
	case err == nil || ctx.Err() != nil:
		return nil
	case damage == "" && malformed:
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
