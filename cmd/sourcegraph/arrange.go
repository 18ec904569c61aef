package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// arrange puts a command line in the order in which urfave/cli reads it: common flags, command, its flags, "--", arguments. It also finds
// what was mistyped, and says what was probably meant.
func arrange(app *cli.App, args []string) ([]string, error) {
	l := line{flags: app.Flags, commands: app.Commands, name: app.Name}
	for i := 1; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--":
			l.rest = append(l.rest, args[i+1:]...)
			i = len(args)
		case len(a) > 1 && a[0] == '-':
			used, err := l.flag(a, args[i+1:])
			if err != nil {
				return nil, err
			}
			i += used
		default:
			if err := l.word(a); err != nil {
				return nil, err
			}
		}
	}
	out := append([]string{args[0]}, l.common...)
	out = append(append(out, l.path...), l.own...)
	if l.help || len(l.path) == 0 || len(l.commands) > 0 {
		return append(out, "--help"), nil // urfave's own help shows the innermost command
	}
	return append(append(out, "--"), l.rest...), nil
}

// line is a command line in the making.
type line struct {
	name     string
	flags    []cli.Flag     // common ones
	commands []*cli.Command // that may come next
	command  *cli.Command
	help     bool

	common, path, own, rest []string
}

func (l *line) word(word string) error {
	if len(l.commands) == 0 {
		l.rest = append(l.rest, word)
		return nil
	}
	if word == "help" && len(l.path) == 0 {
		l.help = true
		return nil
	}
	var names []string
	for _, c := range l.commands {
		if c.HasName(word) {
			l.command, l.commands, l.name = c, c.Subcommands, l.name+" "+word
			l.path = append(l.path, word)
			return nil
		}
		names = append(names, c.Names()...)
	}
	return usageError{fmt.Sprintf("there is no command %q", strings.TrimPrefix(l.name+" "+word, "sourcegraph ")), l.suggest(word, names)}
}

// flag takes one word of flags, and says how many of the words behind it are its value.
func (l *line) flag(word string, behind []string) (used int, err error) {
	name, value, given := strings.Cut(strings.TrimLeft(word, "-"), "=")
	if name == "h" || name == "help" {
		l.help = true
		return 0, nil
	}
	if f := l.find(name); f != nil {
		return l.take(f, word, value, given, behind)
	}
	if word[1] != '-' && len(name) > 1 && l.find(name[:1]) != nil { // -fn100 is -f -n 100
		f := l.find(name[:1])
		if takesValue(f) {
			return l.take(f, word, word[2:], true, nil)
		}
		if _, err := l.take(f, word, "", false, nil); err != nil {
			return 0, err
		}
		return l.flag("-"+word[2:], behind)
	}
	return 0, usageError{fmt.Sprintf("%s has no flag %s", l.name, strings.SplitN(word, "=", 2)[0]), l.suggest("--"+name, l.flagNames())}
}

func (l *line) take(f cli.Flag, word, value string, given bool, behind []string) (used int, err error) {
	if takesValue(f) && !given {
		if len(behind) == 0 || behind[0] == "--" {
			return 0, usage("%s needs a value", word)
		}
		value, given, used = behind[0], true, 1
	}
	text := "--" + f.Names()[0]
	if len(f.Names()[0]) == 1 {
		text = text[1:]
	}
	if given {
		text += "=" + value
	}
	if l.isOwn(f) {
		l.own = append(l.own, text)
	} else {
		l.common = append(l.common, text)
	}
	return used, nil
}

func (l *line) isOwn(f cli.Flag) bool { return l.command != nil && slices.Contains(l.command.Flags, f) }

func (l *line) find(name string) cli.Flag {
	for _, f := range l.known() {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func (l *line) known() []cli.Flag {
	if l.command == nil {
		return l.flags
	}
	return append(slices.Clone(l.command.Flags), l.flags...)
}

func (l *line) flagNames() (names []string) {
	for _, f := range l.known() {
		names = append(names, "--"+f.Names()[0])
	}
	return names
}

func (l *line) suggest(word string, names []string) string {
	if near := keys.Nearest(word, names); near != "" {
		return "did you mean: " + near
	}
	return "see: " + l.name + " -h"
}

func takesValue(f cli.Flag) bool {
	d, ok := f.(cli.DocGenerationFlag)
	return ok && d.TakesValue()
}
