// Command demo is all programs of the demo release in one file: the name it is called by, or its first argument, says which.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/sourcegraph/appliance/cmd/demo/internal/fault"
	"github.com/sourcegraph/appliance/cmd/demo/internal/frontend"
	"github.com/sourcegraph/appliance/cmd/demo/internal/gitserver"
	"github.com/sourcegraph/appliance/cmd/demo/internal/migrator"
	"github.com/sourcegraph/appliance/cmd/demo/internal/searcher"
	"github.com/sourcegraph/appliance/cmd/demo/internal/worker"
)

// version is the release's, set by the linker: -X main.version=1.0.0.
var version = "0.0.0-dev"

func main() {
	if code, is := fault.Helper(os.Args); is {
		os.Exit(code)
	}
	os.Exit(run(os.Args))
}

// run finds the program by its name; demo itself takes the name as its first argument.
func run(args []string) int {
	if program := programs()[filepath.Base(args[0])]; program != nil {
		return program(args[1:])
	}
	if len(args) > 1 {
		if program := programs()[args[1]]; program != nil {
			return program(args[2:])
		}
		if args[1] == "--version" || args[1] == "version" {
			fmt.Println(version)
			return 0
		}
	}
	fmt.Fprintf(os.Stderr, "demo %s: %q names no program\nusage: demo frontend|gitserver|searcher|worker|migrator, or a link of that name\n", version, args)
	return 2
}

func programs() map[string]func(args []string) int {
	return map[string]func(args []string) int{
		"frontend":  func(args []string) int { return frontend.Main(version, args) },
		"gitserver": gitserver.Main,
		"searcher":  searcher.Main,
		"worker":    worker.Main,
		"migrator":  migrator.Main,
	}
}
