package roster

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PortHolder says which process listens on a TCP port of this machine, by its pid and command line (at most 80 bytes).
//
// The pid is 0 when nobody listens, or when the holder's descriptors may not be read: those of other users are root's alone.
func PortHolder(port int) (pid int, cmd string, err error) {
	sockets, err := Listeners(port)
	if err != nil || len(sockets) == 0 {
		return 0, "", err
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, "", err
	}
	for _, dir := range processes {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return 0, "", err
		}
		if holds, err := Holds(pid, sockets); err == nil && holds { // one that may not be looked at is not told
			return pid, commandLine(dir), nil
		}
	}
	return 0, "", nil
}

func shorten(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}

func commandLine(process string) string {
	content, err := os.ReadFile(process + "/cmdline")
	if err != nil {
		return "?"
	}
	return shorten(strings.TrimSpace(strings.ReplaceAll(string(content), "\x00", " ")), 80)
}

// HolderOf says who listens on the port of address, for the end of an error's text: " (held by process 7: nginx)". It is empty when nobody can be named.
func HolderOf(address string) string {
	port, err := portOf(address)
	if err != nil {
		return ""
	}
	pid, cmd, err := PortHolder(port)
	if err != nil || pid == 0 {
		return ""
	}
	return fmt.Sprintf(" (held by process %d: %s)", pid, cmd)
}
