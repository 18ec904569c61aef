package gitserver

import (
	"cmp"
	"net/http"
)

// Code is the kind of an [Error], itself an error so that errors.Is finds it. Codes travel between processes and are never renamed.
type Code string

// What can go wrong.
const (
	ErrNotCloned        Code = "not_cloned"         // no clone here, and none is being made
	ErrCloneInProgress  Code = "clone_in_progress"  // ask again later
	ErrRevisionNotFound Code = "revision_not_found" // nothing by that name in the clone; an empty repository has none at all
	ErrFileNotFound     Code = "file_not_found"     // no such path, or of another type than asked for
	ErrInvalid          Code = "invalid"            // a name, URL, revision or path that cannot be
	ErrRemoteNotFound   Code = "remote_not_found"   // the code host knows no such repository
	ErrRemoteAuth       Code = "remote_auth"        // the code host wants other credentials
	ErrRemoteFailed     Code = "remote_failed"      // the code host does not answer, or not sensibly
	ErrCorrupt          Code = "corrupt"            // the clone is damaged; the next update makes it again
	ErrDiskFull         Code = "disk_full"
	ErrTimeout          Code = "timeout"
	ErrWrongShard       Code = "wrong_shard" // another instance than the caller meant
	ErrStopped          Code = "stopped"     // the server is stopping, or the repository was removed meanwhile
	ErrInternal         Code = "internal"
)

func (c Code) Error() string { return string(c) }

// Status is the HTTP status that carries the code.
func (c Code) Status() int {
	switch c {
	case ErrNotCloned, ErrRevisionNotFound, ErrFileNotFound, ErrRemoteNotFound:
		return http.StatusNotFound
	case ErrCloneInProgress, ErrStopped:
		return http.StatusServiceUnavailable
	case ErrInvalid:
		return http.StatusBadRequest
	case ErrRemoteAuth, ErrRemoteFailed:
		return http.StatusBadGateway
	case ErrTimeout:
		return http.StatusGatewayTimeout
	case ErrDiskFull:
		return http.StatusInsufficientStorage
	case ErrWrongShard:
		return http.StatusMisdirectedRequest
	default:
		return http.StatusInternalServerError
	}
}

// Error is a failure as both ends of the wire know it; errors.Is(err, ErrNotCloned) works on either side. Its texts hold no credentials.
type Error struct {
	Code   Code   `json:"code"`
	Text   string `json:"message"`
	Remedy string `json:"hint,omitempty"`
}

func (e *Error) Error() string { return cmp.Or(e.Text, string(e.Code)) }
func (e *Error) Unwrap() error { return e.Code }

// Hint says what to do about it; empty if nobody knows.
func (e *Error) Hint() string { return e.Remedy }
