package cgroup

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// leaf is the group that we sit in ourselves.
const leaf = "supervisor"

// NameFor gives the appliance that owns a data directory a name of its own on this machine: prefix-<12 hexadecimal digits>.
// It depends on the directory's device and inode, not its path, and on our pid namespace, in which alone pids make sense.
func NameFor(prefix, dataDir string) (string, error) {
	var data, ns unix.Stat_t
	if err := unix.Stat(dataDir, &data); err != nil {
		return "", fmt.Errorf("identify data directory %s: %w", dataDir, err)
	}
	if err := unix.Stat("/proc/self/ns/pid", &ns); err != nil {
		return "", fmt.Errorf("identify our pid namespace by /proc/self/ns/pid: %w", err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%d:%d", data.Dev, data.Ino, ns.Ino))
	return prefix + "-" + hex.EncodeToString(sum[:6]), nil
}

// isGroup tells a group's name, <service>-<n>.<run>, from everything else that may sit beside it.
func isGroup(name string) bool {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || strings.ContainsAny(name, "/\x00\n") {
		return false
	}
	dash := strings.LastIndexByte(name[:dot], '-')
	return dash > 0 && isNumber(name[dash+1:dot]) && isNumber(name[dot+1:])
}

func isNumber(text string) bool {
	_, err := strconv.ParseUint(text, 10, 64)
	return err == nil && text[0] != '+'
}
