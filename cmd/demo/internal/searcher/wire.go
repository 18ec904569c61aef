package searcher

import (
	"errors"
	"net/http"

	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
)

// event is one line of the answer: exactly one field is set. An answer without Done or Failed at its end broke off.
type event struct {
	Match  *wireMatch `json:"match,omitempty"`
	Done   *Summary   `json:"done,omitempty"`
	Failed *failure   `json:"failed,omitempty"`
}

// wireMatch is a [FileMatch] for JSON, which has no place for paths that are not UTF-8.
type wireMatch struct {
	Path  []byte      `json:"path"`
	Lines []LineMatch `json:"lines,omitempty"`
}

// failure is an error of ours or of gitserver's.
type failure struct {
	From string `json:"from"` // searcher or gitserver
	Code string `json:"code"`
	Text string `json:"message"`
	Hint string `json:"hint,omitempty"`
}

func toFailure(err error) *failure {
	var own *Error
	if errors.As(err, &own) {
		return &failure{From: "searcher", Code: string(own.Code), Text: err.Error(), Hint: own.Remedy}
	}
	var git *gitserver.Error
	if errors.As(err, &git) {
		return &failure{From: "gitserver", Code: string(git.Code), Text: err.Error(), Hint: git.Remedy}
	}
	return &failure{From: "searcher", Code: string(ErrInternal), Text: err.Error()}
}

func (f *failure) err() error {
	if f.From == "gitserver" {
		return &gitserver.Error{Code: gitserver.Code(f.Code), Text: f.Text, Remedy: f.Hint}
	}
	return &Error{Code: Code(f.Code), Text: f.Text, Remedy: f.Hint}
}

func (f *failure) status() int {
	switch {
	case f.From == "gitserver":
		return gitserver.Code(f.Code).Status()
	case f.Code == string(ErrInternal):
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}
