package cgroup

import (
	"bufio"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mount is one cgroup file system in our mount namespace.
type mount struct {
	root        string   // the part of the hierarchy that is mounted, as our cgroup namespace sees it
	dir         string   // where
	unified     bool     // cgroup2
	readOnly    bool     // by mount or by file system
	controllers []string // v1: memory, cpu …, name=systemd
}

// mounts reads /proc/self/mountinfo. A later mount of the same kind at the same place hides the earlier one.
// Source: proc_pid_mountinfo(5).
func mounts(mountinfo string) []mount {
	var found []mount
	lines := bufio.NewScanner(strings.NewReader(mountinfo))
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 || !strings.HasPrefix(right[0], "cgroup") {
			continue
		}
		m := mount{
			root: unescape(left[3]), dir: unescape(left[4]), unified: right[0] == "cgroup2",
			readOnly:    hasOption(left[5], "ro") || hasOption(right[2], "ro"),
			controllers: strings.Split(right[2], ","),
		}
		found = slices.DeleteFunc(found, func(old mount) bool { return old.dir == m.dir })
		found = append(found, m)
	}
	return found
}

func hasOption(options, name string) bool {
	return slices.Contains(strings.Split(options, ","), name)
}

// unescape undoes mountinfo's octal escapes of space, tab, newline and backslash.
func unescape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if c, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// membership is one line of /proc/PID/cgroup.
type membership struct {
	controllers []string // empty for cgroup2
	path        string
}

func memberships(procCgroup string) []membership {
	var found []membership
	for line := range strings.Lines(procCgroup) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		m := membership{path: parts[2]}
		if parts[1] != "" {
			m.controllers = strings.Split(parts[1], ",")
		}
		found = append(found, m)
	}
	return found
}

// within gives the directory below the mount that belongs to a path of /proc/PID/cgroup; false if the mount does not show it.
func (m mount) within(path string) (string, bool) {
	if strings.HasPrefix(path, "/..") || strings.HasPrefix(m.root, "/..") { // outside our cgroup namespace
		return "", false
	}
	rel, err := filepath.Rel(m.root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", false
	}
	return filepath.Join(m.dir, rel), true
}

// dirOf finds the directory of a process in this mount's hierarchy.
func (m mount) dirOf(in []membership) (string, bool) {
	for _, p := range in {
		if m.unified && len(p.controllers) == 0 || !m.unified && slices.ContainsFunc(p.controllers, m.serves) {
			return m.within(p.path)
		}
	}
	return "", false
}

func (m mount) serves(controller string) bool { return slices.Contains(m.controllers, controller) }
