package roster

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// PortHolder says which process listens on a TCP port of this machine, by its pid and command line (at most 80 bytes).
//
// The pid is 0 when nobody listens, or when the holder's descriptors may not be read: those of other users are root's alone.
// Source: proc(5), /proc/net/tcp: state 0A is LISTEN.
func PortHolder(port int) (pid int, cmd string, err error) {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if err := listeners(table, port, inodes); err != nil {
			return 0, "", err
		}
	}
	if len(inodes) == 0 {
		return 0, "", nil
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, "", err
	}
	for _, dir := range processes {
		if holdsSocket(dir, inodes) {
			pid, err = strconv.Atoi(filepath.Base(dir))
			return pid, commandLine(dir), err
		}
	}
	return 0, "", nil
}

// listeners adds the inodes of sockets that listen on port.
func listeners(table string, port int, inodes map[string]bool) error {
	content, err := os.ReadFile(table)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no IPv6
	}
	if err != nil {
		return fmt.Errorf("read the listeners of this machine: %w", err)
	}
	suffix := fmt.Sprintf(":%04X", port)
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], suffix) {
			inodes["socket:["+f[9]+"]"] = true
		}
	}
	return lines.Err()
}

func holdsSocket(process string, inodes map[string]bool) bool {
	fds, err := os.ReadDir(process + "/fd")
	if err != nil {
		return false // gone, or not ours to look at
	}
	for _, fd := range fds {
		if to, err := os.Readlink(process + "/fd/" + fd.Name()); err == nil && inodes[to] {
			return true
		}
	}
	return false
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
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return ""
	}
	pid, cmd, err := PortHolder(port)
	if err != nil || pid == 0 {
		return ""
	}
	return fmt.Sprintf(" (held by process %d: %s)", pid, cmd)
}
