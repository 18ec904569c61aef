package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// connect makes a client of the appliance that the flags name. An ordinary user's that finds no socket at its default asks the machine's.
func connect(c *cli.Context) (*api.Client, error) {
	said := saidPlaces(c)
	p, err := where(said)
	if err != nil {
		return nil, usage("%v", err)
	}
	socket := filepath.Join(p.Run, "admin.sock")
	if _, err := os.Stat(socket); said.Data == "" && said.Run == "" && os.Geteuid() != 0 && errors.Is(err, fs.ErrNotExist) {
		if system := filepath.Join(systemRun, "admin.sock"); exists(system) {
			socket = system
		}
	}
	return api.Dial(socket, recorded(os.Args)), nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// recorded is what the history keeps of a command line: behind "--" only the program, since arguments may hold secrets.
func recorded(args []string) string {
	words := []string{"sourcegraph"}
	for i := 1; i < len(args); i++ {
		words = append(words, args[i])
		if args[i] == "--" {
			if i+1 < len(args) {
				words = append(words, args[i+1], "…")
			}
			break
		}
	}
	return strings.Join(words, " ")
}
