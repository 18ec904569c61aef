// Command sourcegraph is the appliance: its supervisor, and the commands that talk to it.
package main

import (
	"os"
)

// version is set by the build.
var version = "0.0.0-dev"

func main() {
	os.Exit(dispatch(os.Args))
}

// dispatch finds the roles that the appliance starts itself; everything else is for people.
func dispatch(args []string) int {
	if len(args) > 1 {
		switch args[1] {
		case "supervise":
			return superviseRole(args[2:])
		case "door":
			return doorRole()
		}
	}
	return commandLine(args)
}
