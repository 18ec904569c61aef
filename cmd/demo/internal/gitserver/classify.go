package gitserver

import (
	"context"
	"errors"
	"strings"
	"syscall"
)

// symptom is a piece of git's messages (LC_ALL=C) and what it means.
type symptom struct {
	text   string
	code   Code
	remedy string
}

// symptoms are asked in this order: the first one found decides.
func symptoms() []symptom {
	const auth = "check user, password or token in the clone URL, or the keys in .ssh of gitserver's home"
	return []symptom{
		{"No space left on device", ErrDiskFull, "free space below SRC_REPOS_DIR"},
		{"Disk quota exceeded", ErrDiskFull, "free space below SRC_REPOS_DIR"},
		{"Authentication failed", ErrRemoteAuth, auth},
		{"could not read Username", ErrRemoteAuth, auth},
		{"could not read Password", ErrRemoteAuth, auth},
		{"Permission denied (", ErrRemoteAuth, auth},
		{"returned error: 401", ErrRemoteAuth, auth},
		{"returned error: 403", ErrRemoteAuth, auth},
		{"Host key verification failed", ErrRemoteFailed, "the host's key changed: check it, then edit .ssh/known_hosts of gitserver's home"},
		{"epository not found", ErrRemoteNotFound, "check the clone URL"},
		{"returned error: 404", ErrRemoteNotFound, "check the clone URL"},
		{"' not found", ErrRemoteNotFound, "check the clone URL"},
		{"does not appear to be a git repository", ErrRemoteNotFound, "check the clone URL"},
		{"access denied or repository not exported", ErrRemoteNotFound, "check the clone URL"},
		{"does not exist", ErrRemoteNotFound, "check the clone URL"},
		{"Could not resolve host", ErrRemoteFailed, "check the host's name, and the network"},
		{"Connection refused", ErrRemoteFailed, "nothing listens there"},
		{"unable to connect", ErrRemoteFailed, "check the host, and the network"},
		{"Failed to connect", ErrRemoteFailed, "check the host, and the network"},
		{"transport '", ErrInvalid, "use file://, https://, http://, ssh:// or git://"},
	}
}

// classify turns a failed talk with a code host into an [*Error]. what says what was done to which repository.
func classify(what string, err error) error {
	var own *Error
	if errors.As(err, &own) {
		return err
	}
	text := what + ": " + err.Error()
	switch {
	case errors.Is(err, errStalled):
		return &Error{Code: ErrTimeout, Text: text, Remedy: "the code host went silent"}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Code: ErrTimeout, Text: text}
	case errors.Is(err, context.Canceled), errors.Is(err, ErrStopped):
		return &Error{Code: ErrStopped, Text: text}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &Error{Code: ErrDiskFull, Text: text, Remedy: "free space below SRC_REPOS_DIR"}
	}
	var failed *commandError
	if errors.As(err, &failed) {
		for _, s := range symptoms() {
			if strings.Contains(failed.stderr, s.text) {
				return &Error{Code: s.code, Text: text, Remedy: s.remedy}
			}
		}
		if v := verb(failed.args); v == "clone" || v == "fetch" || v == "ls-remote" {
			return &Error{Code: ErrRemoteFailed, Text: text}
		}
	}
	return &Error{Code: ErrInternal, Text: text}
}

// damage are git's words for a broken object database or a directory that is no repository any more.
func damage() []string {
	return []string{
		"not a git repository", "is corrupt", "object file", "is empty", "packfile", "inflate: data stream error", "unable to unpack",
		"bad object HEAD", "unable to read tree", "unable to read sha1 file", "could not read tree", "missing blob", "missing tree", "missing commit",
		"hash mismatch", "bad tree object", "bad sha1", "unable to parse object", "garbage at end of loose object", "unresolvable", "did not receive expected object",
		"bad signature", "not a valid object name", "unable to read ", "cannot read", "invalid sha1 pointer", "does not point to a valid object", "badRefContent", "index file", "is too small",
	}
}

// looksDamaged says whether a failure may come from a damaged clone. It only raises a suspicion; [Store.verify] decides.
func looksDamaged(err error) bool {
	var failed *commandError
	return errors.As(err, &failed) && smells(failed.stderr)
}

func smells(text string) bool {
	for _, d := range damage() {
		if strings.Contains(text, d) {
			return true
		}
	}
	return false
}
