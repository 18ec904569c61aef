package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/services"
	"github.com/sourcegraph/appliance/supervisor/roster"
)

// completeWord is what the shells' scripts call the program with, followed by the words up to the cursor.
const completeWord = "__complete"

const bashCompletion = `# sourcegraph completion for bash; load it with: source <(sourcegraph completion bash)
_sourcegraph() {
  local IFS=$'\n'
  COMPREPLY=($(sourcegraph __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _sourcegraph sourcegraph
`

const zshCompletion = `#compdef sourcegraph
# sourcegraph completion for zsh; load it with: source <(sourcegraph completion zsh)
_sourcegraph() {
  local -a found
  found=("${(@f)$(sourcegraph __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -- $found
}
compdef _sourcegraph sourcegraph
`

const fishCompletion = `# sourcegraph completion for fish; load it with: sourcegraph completion fish | source
complete -c sourcegraph -f -a '(sourcegraph __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`

func completionCommand() *cli.Command {
	return &cli.Command{
		Name: "completion", ArgsUsage: "bash|zsh|fish", Category: "without an appliance",
		Usage: "a script that completes commands, flags and services in a shell",
		Action: func(c *cli.Context) error {
			scripts := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
			script, ok := scripts[c.Args().First()]
			if !ok || c.NArg() != 1 {
				return usage("completion needs one of bash, zsh, fish")
			}
			screenOf(c).print("%s", script)
			return nil
		},
	}
}

// complete prints what the last of the words may become, one a line.
func complete(ctx context.Context, words []string, out io.Writer) int {
	if len(words) == 0 {
		words = []string{""}
	}
	before, last := words[:len(words)-1], words[len(words)-1]
	for _, c := range candidates(ctx, before, last) {
		if strings.HasPrefix(c, last) {
			_, _ = fmt.Fprintln(out, c) // a shell that is gone needs no answer
		}
	}
	return exitOK
}

func candidates(ctx context.Context, before []string, last string) (out []string) {
	app := newApp(io.Discard, io.Discard)
	l := line{name: app.Name, flags: app.Flags, commands: app.Commands}
	for i := 0; i < len(before); i++ {
		w := before[i]
		if w == "--" {
			return nil
		}
		if strings.HasPrefix(w, "-") {
			used, err := l.flag(w, before[i+1:])
			if err != nil {
				return nil // the value of a flag: files
			}
			i += used
		} else if l.word(w) != nil {
			return nil
		}
	}
	if strings.HasPrefix(last, "-") {
		return append(l.flagNames(), "--help")
	}
	for _, c := range l.commands {
		out = append(out, c.Name)
	}
	if len(l.commands) == 0 && l.command != nil && strings.Contains(l.command.ArgsUsage, "SERVICE") {
		return serviceNames(ctx, l.common)
	}
	if l.command != nil && l.command.ArgsUsage == "KEY" {
		return roster.Complete(last, serviceNames(ctx, l.common))
	}
	if l.command != nil && l.command.Name == "completion" {
		return []string{"bash", "zsh", "fish"}
	}
	return out
}

// serviceNames are those of the appliance that answers, else all that are defined.
func serviceNames(ctx context.Context, common []string) (out []string) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	app := newApp(io.Discard, io.Discard)
	app.Commands = nil
	app.Action = func(c *cli.Context) error {
		client, err := connect(c)
		if err != nil {
			return err
		}
		defer client.Close()
		st, err := client.Status(c.Context, nil)
		for _, svc := range st.Services {
			out = append(out, svc.Name, instance(svc))
		}
		return err
	}
	if err := app.RunContext(ctx, append([]string{os.Args[0]}, common...)); err != nil {
		for _, d := range services.All() {
			out = append(out, d.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
