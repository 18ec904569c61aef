package services

import (
	"strconv"
	"strings"
)

// expand executes a template whose actions are all of the plain forms that nearly every definition is made of, in a hundredth of the time that
// text/template takes to parse it. For any other, and for any fault, ok is false: text/template has the last word, and the better one.
func (s *Scope) expand(text string) (out string, ok bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{{")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		action, after, closed := strings.Cut(rest, "}}")
		value, ok := s.action(action)
		if !closed || !ok {
			return "", false
		}
		b.WriteString(value)
		text = after
	}
}

// action evaluates .Name, .Name.key or .Name "word" …
func (s *Scope) action(action string) (string, bool) {
	words := strings.Fields(action)
	if len(words) == 0 || words[0][0] != '.' {
		return "", false
	}
	name, args := words[0][1:], words[1:]
	for i, word := range args {
		if len(word) < 2 || word[0] != '"' || word[len(word)-1] != '"' || strings.ContainsAny(word[1:len(word)-1], `"\`) {
			return "", false
		}
		args[i] = word[1 : len(word)-1]
	}
	switch len(args) {
	case 0:
		return s.field(name)
	case 1:
		return s.path(name, args[0])
	case 2:
		return s.peer(name, args[0], args[1])
	}
	return "", false
}

func (s *Scope) field(name string) (string, bool) {
	if from, key, nested := strings.Cut(name, "."); nested {
		return s.nested(from, key)
	}
	switch name {
	case "Home":
		return s.Home, true
	case "Run":
		return s.Run, true
	case "New":
		return s.New, true
	case "Number":
		return strconv.Itoa(s.Number), true
	case "Generation":
		return strconv.Itoa(s.Generation), true
	}
	return "", false
}

func (s *Scope) nested(from, key string) (value string, ok bool) {
	switch from {
	case "Address":
		value, ok = s.Address[key]
	case "Port":
		value, ok = s.Port[key]
	case "Data":
		value, ok = s.Data[key]
	case "Secret":
		value, ok = s.Secret[key]
	}
	return value, ok
}

func (s *Scope) path(name, arg string) (string, bool) {
	switch name {
	case "Bin":
		return s.Bin(arg), true
	case "SocketDir":
		return s.SocketDir(arg), true
	}
	return "", false
}

func (s *Scope) peer(name, service, port string) (value string, ok bool) {
	var err error
	switch name {
	case "Peer":
		value, err = s.Peer(service, port)
	case "PeerURL":
		value, err = s.PeerURL(service, port)
	case "PeerPort":
		value, err = s.PeerPort(service, port)
	case "PeerHere":
		value, err = s.PeerHere(service, port)
	default:
		return "", false
	}
	return value, err == nil
}
