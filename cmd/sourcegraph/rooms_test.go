package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/sourcegraph/appliance/"

// rooms are the folders in the order in which they may import: each only what is below it, and of its own line only itself.
// cmd is above all; no room imports it.
var rooms = []string{"supervisor upgrade selftest", "services", "limits"}

// TestImportsRunOneWay holds the arrows of ARCHITECTURE.md: cmd, then supervisor, upgrade and selftest, then services, then limits.
func TestImportsRunOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"...").Output()
	require.NoError(t, err)
	packages := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		from := strings.TrimPrefix(words[0], module)
		packages++
		for _, imported := range words[1:] {
			if to, ours := strings.CutPrefix(imported, module); ours && !allowed(from, to) {
				t.Errorf("%s imports %s", from, to)
			}
		}
	}
	require.Greater(t, packages, 20)
}

func allowed(from, to string) bool {
	fromRoom, _, _ := strings.Cut(from, "/")
	toRoom, _, _ := strings.Cut(to, "/")
	if fromRoom == "cmd" {
		return toRoom != "cmd" || strings.HasPrefix(to, "cmd/demo/") && strings.HasPrefix(from, "cmd/demo")
	}
	return fromRoom == toRoom || floor(fromRoom) >= 0 && floor(fromRoom) < floor(toRoom)
}

func floor(room string) int {
	for i, line := range rooms {
		for _, name := range strings.Fields(line) {
			if name == room {
				return i
			}
		}
	}
	return -1
}

// TestLeavesAreLeaves: what has one job knows nothing of the rest of the appliance.
func TestLeavesAreLeaves(t *testing.T) {
	for leaf, may := range map[string][]string{
		"supervisor/stage0":    nil,
		"supervisor/process":   nil,
		"supervisor/record":    nil,
		"limits/cgroup":        nil,
		"supervisor/door":      nil,
		"supervisor/probe":     {"services"},
		"supervisor/users":     {"supervisor/process"},
		"supervisor/elsewhere": {"services"},
		"supervisor/engine":    {"services", "supervisor/api"},
		"supervisor/logs":      {"supervisor/api"},
		"supervisor/store":     {"supervisor/api"},

		"supervisor/roster/keys": {"limits"},
		"supervisor/watch":       nil,
		"supervisor/product":     nil,
		"supervisor/siteconfig":  nil,
		"services":               {"limits"},
		"limits":                 nil,
	} {
		out, err := exec.Command("go", "list", "-f", `{{range .Imports}}{{.}} {{end}}`, module+leaf).Output()
		require.NoError(t, err)
		for _, imported := range strings.Fields(string(out)) {
			if to, ours := strings.CutPrefix(imported, module); ours {
				require.Contains(t, may, to, "%s imports %s", leaf, to)
			}
		}
	}
}

// TestTestHelpersStayOut: what only tests need never reaches the shipped binary.
func TestTestHelpersStayOut(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"cmd/sourcegraph", module+"cmd/demo").Output()
	require.NoError(t, err)
	for _, dep := range strings.Fields(string(out)) {
		require.NotContains(t, dep, "testify")
		require.NotEqual(t, "testing", dep, "a shipped program links the package testing")
	}
}
