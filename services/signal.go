package services

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"unicode"
)

// Signal is a signal by the name people write: TERM, INT, QUIT …
type Signal struct {
	Name   string
	Number syscall.Signal
}

// Notation says how it is written.
func (*Signal) Notation() (what, example, pattern string) {
	return "a signal", "TERM", "^(" + anyCase("SIG") + ")?(" + anyCase(strings.Join(signalNames(), "|")) + ")$"
}

// anyCase is a pattern of a text in capitals, or not; JSON Schema has no flag for that.
func anyCase(text string) string {
	var out strings.Builder
	for _, c := range text {
		if lower := unicode.ToLower(c); lower != c {
			out.WriteString("[" + string(c) + string(lower) + "]")
		} else {
			out.WriteRune(c)
		}
	}
	return out.String()
}

// UnmarshalText reads it.
func (s *Signal) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSignal(string(text))
	return err
}

// MarshalText writes its name.
func (s Signal) MarshalText() ([]byte, error) { return []byte(s.Name), nil }

// signalNames are those that may ask a program to end, the usual ones first.
func signalNames() []string {
	return []string{"TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "KILL", "WINCH"}
}

// ParseSignal reads a signal that may ask a program to end, with or without SIG, in any case.
func ParseSignal(name string) (Signal, error) {
	signals := map[string]syscall.Signal{
		"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "HUP": syscall.SIGHUP,
		"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "KILL": syscall.SIGKILL, "WINCH": syscall.SIGWINCH,
	}
	short := strings.TrimPrefix(strings.ToUpper(name), "SIG")
	number, ok := signals[short]
	if !ok {
		return Signal{}, fmt.Errorf("unknown signal %q, use one of %s", name, strings.Join(slices.Sorted(maps.Keys(signals)), ", "))
	}
	return Signal{short, number}, nil
}

// SignalName is the name of a signal without SIG.
func SignalName(s syscall.Signal) string {
	for _, name := range signalNames() {
		if known, _ := ParseSignal(name); known.Number == s {
			return name
		}
	}
	return fmt.Sprint(int(s))
}
