package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/sourcegraph/appliance/supervisor"
	"github.com/sourcegraph/appliance/supervisor/door"
)

// superviseRole is stage 1. Its options come from `run` as one JSON argument, so that nothing is parsed twice or differently.
func superviseRole(args []string) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "supervise is started by: sourcegraph run")
		return exitUsage
	}
	var o supervisor.Options
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		fmt.Fprintf(os.Stderr, "supervise: %v; it is started by: sourcegraph run\n", err)
		return exitUsage
	}
	o.Version, o.Log, o.Roster.Environ = version, os.Stderr, os.Environ() // stage 0 handed it on unchanged
	return supervisor.Supervise(o)
}

// doorRole is the front door; descriptor 3 is its control socket.
func doorRole() int {
	control := os.NewFile(3, "control")
	if _, err := control.Stat(); err != nil {
		fmt.Fprintln(os.Stderr, "door is started by: sourcegraph run")
		return exitUsage
	}
	return door.Main(control, os.Stderr)
}
