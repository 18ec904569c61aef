package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// The exit codes of interface.md that this package gives by itself.
const (
	codeInternal     = 1
	codeUsage        = 2
	codeInconclusive = 5
	codeRefused      = 6
	codeNoAppliance  = 7
)

// ExitCode is the code that a command ends with.
func (e *Error) ExitCode() int { return e.Code }

// AsError gives an error the exit code and the remedy that it carries: internal, if it says nothing.
func AsError(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	e := &Error{Code: codeInternal, Message: err.Error()}
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		e.Code = coded.ExitCode()
	}
	var hint interface{ Hint() string }
	if errors.As(err, &hint) {
		e.Remedy = hint.Hint()
	}
	return e
}

// httpStatus is for who uses HTTP without our client.
func (e *Error) httpStatus() int {
	switch e.Code {
	case codeUsage:
		return http.StatusBadRequest
	case codeRefused:
		return http.StatusForbidden
	case codeInternal:
		return http.StatusInternalServerError
	}
	return http.StatusConflict
}

func answerError(w http.ResponseWriter, err error) {
	e := AsError(err)
	answer(w, e.httpStatus(), e)
}

func answer(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		status = http.StatusInternalServerError
		body, _ = json.Marshal(&Error{Code: codeInternal, Message: "write the answer: " + err.Error()}) // of strings: cannot fail
	}
	bound(w)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1)) // the answer is whole before its handler ends
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a caller that is gone needs no answer
}

// bound gives a caller [writeWait] to take its answer.
func bound(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWait)) // a connection that is gone shows at the write
}
