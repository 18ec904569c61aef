package gitserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// fetch brings branches, tags and HEAD to what the remote has now; what vanished there vanishes here. complaint is git's first word of damage, which
// it may pass over and succeed.
func (s *Store) fetch(ctx context.Context, dir string, f *flight) (complaint string, err error) {
	s.cleanLocks(dir)
	head, err := s.remoteHead(ctx, f)
	if err != nil {
		return "", err
	}
	watch := func(line string) {
		f.say(line)
		if complaint == "" && isDamage(line) && smells(line) {
			complaint = line
		}
	}
	args := []string{"--git-dir=" + dir, "fetch", "--prune", "--force", "--progress", "--no-tags", "--no-write-fetch-head",
		"--", f.remote.url, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"}
	if err := s.git.run(ctx, command{args: args, remote: f.remote, watch: watch, stall: s.limits.Stall}); err != nil {
		return complaint, err
	}
	if err := s.chooseHead(ctx, dir, head); err != nil {
		return complaint, err
	}
	return complaint, s.noteFetch(ctx, dir, time.Now().UTC())
}

// remoteHead is the branch that HEAD names at the remote, as refs/heads/…; a hash when HEAD is detached; "" when it names nothing that exists.
func (s *Store) remoteHead(ctx context.Context, f *flight) (string, error) {
	var out bytes.Buffer
	args := []string{"ls-remote", "--symref", "--", f.remote.url, "HEAD"}
	if err := s.git.run(ctx, command{args: args, remote: f.remote, stdout: &out, stall: s.limits.Stall}); err != nil {
		return "", err
	}
	hash := ""
	for line := range strings.Lines(out.String()) {
		value, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if name != "HEAD" {
			continue
		}
		if branch, ok := strings.CutPrefix(value, "ref: "); ok {
			return branch, nil
		}
		hash = value
	}
	return hash, nil
}

// chooseHead points HEAD to want (see remoteHead). When that leaves HEAD naming nothing although there are branches, it takes main, master or the first one.
func (s *Store) chooseHead(ctx context.Context, dir, want string) error {
	if err := s.setHead(ctx, dir, want); err != nil {
		return err
	}
	if s.git.run(ctx, command{args: []string{"--git-dir=" + dir, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"}}) == nil {
		return nil
	}
	branches, err := s.branches(ctx, dir)
	if err != nil || len(branches) == 0 {
		return err
	}
	best := branches[0]
	for _, b := range branches {
		if b == "refs/heads/main" || b == "refs/heads/master" && best != "refs/heads/main" {
			best = b
		}
	}
	return s.setHead(ctx, dir, best)
}

func (s *Store) setHead(ctx context.Context, dir, want string) error {
	args := []string{"--git-dir=" + dir, "update-ref", "--no-deref", "HEAD", want}
	if want == "" {
		return nil
	}
	if strings.HasPrefix(want, "refs/heads/") {
		args = []string{"--git-dir=" + dir, "symbolic-ref", "HEAD", want}
	}
	return s.git.run(ctx, command{args: args})
}

func (s *Store) branches(ctx context.Context, dir string) ([]string, error) {
	var out bytes.Buffer
	args := []string{"--git-dir=" + dir, "for-each-ref", "--format=%(refname)", "refs/heads/"}
	if err := s.git.run(ctx, command{args: args, stdout: &out}); err != nil {
		return nil, err
	}
	return strings.Fields(out.String()), nil
}

// refsHash changes whenever a branch, a tag or HEAD does.
func (s *Store) refsHash(ctx context.Context, dir string) (string, error) {
	h := sha256.New()
	head, err := os.ReadFile(filepath.Join(dir, "HEAD"))
	if err != nil {
		return "", fmt.Errorf("read HEAD of the clone: %w", err)
	}
	h.Write(head)
	args := []string{"--git-dir=" + dir, "for-each-ref", "--format=%(objectname) %(refname)"}
	if err := s.git.run(ctx, command{args: args, stdout: h}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
