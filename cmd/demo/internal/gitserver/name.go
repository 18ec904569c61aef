package gitserver

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	nameMax = 1024 // bytes of a repository's name
	partMax = 200  // bytes between two slashes; file systems take 255
)

// checkName refuses names that are not one path below the repositories' directory, the same on every file system.
func checkName(name string) error {
	switch {
	case name == "":
		return invalid("repository name is empty")
	case len(name) > nameMax:
		return invalid("repository name %.40q… is longer than %d bytes", name, nameMax)
	case !utf8.ValidString(name):
		return invalid("repository name %q is not UTF-8", name)
	case strings.ContainsFunc(name, unicode.IsControl):
		return invalid("repository name %q has a control character in it", name)
	case name[0] == '-' || name[0] == '.':
		return invalid("repository name %q starts with %q", name, name[:1])
	}
	for part := range strings.SplitSeq(name, "/") {
		if err := checkPart(name, part); err != nil {
			return err
		}
	}
	return nil
}

func checkPart(name, part string) error {
	switch {
	case part == "":
		return invalid("repository name %q has an empty part", name)
	case part == "." || part == "..":
		return invalid("repository name %q leaves its directory", name)
	case strings.EqualFold(part, ".git"):
		return invalid("repository name %q has a part %q, which would lie inside of another clone", name, part)
	case len(part) > partMax:
		return invalid("repository name %.40q… has a part longer than %d bytes", name, partMax)
	}
	return nil
}

// cloneDir is where the clone of a checked name lies.
func cloneDir(root, name string) string {
	return filepath.Join(root, filepath.FromSlash(name), ".git")
}

// checkRevision refuses what git could take for an option, and what no revision can be.
func checkRevision(rev string) error {
	if strings.HasPrefix(rev, "-") || len(rev) > 4096 || strings.ContainsFunc(rev, unicode.IsControl) {
		return invalid("revision %.80q cannot be: it starts with a dash, is too long or has a control character in it", rev)
	}
	return nil
}

// checkCommit wants a full hash, which is what [Client.Resolve] gives.
func checkCommit(commit string) error {
	if len(commit) != 40 && len(commit) != 64 || strings.Trim(commit, "0123456789abcdef") != "" {
		return invalid("commit %.80q is not a full hash", commit)
	}
	return nil
}

// checkPath takes any bytes that git takes as a path inside of a tree; "" is the root.
func checkPath(path string) error {
	if path == "" {
		return nil
	}
	if strings.ContainsRune(path, 0) {
		return invalid("path %q has a NUL in it", path)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return invalid("path %q is not a clean path from the root of the repository", path)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return &Error{Code: ErrInvalid, Text: fmt.Sprintf(format, args...)}
}
