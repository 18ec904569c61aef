package services

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rosterVersions are those by which the tables in testdata are ordered: each has another roster or another wiring than the one before.
var rosterVersions = []string{
	"3.38.0", "5.0.0", "5.2.7", "5.3.9104", "5.6.0", "5.9.0", "5.11.6271", "6.0.0", "6.3.4167", "6.4.0", "6.12.0", "7.0.0", "7.5.4453",
}

// table reads testdata/<name>: words in columns; # begins a comment.
func table(t *testing.T, name string) [][]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	var rows [][]string
	for line := range strings.Lines(string(content)) {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 0 {
			rows = append(rows, words)
		}
	}
	return rows
}

// TestRoster holds section 2 of the catalog: which service exists in which version, and whether it runs by itself.
func TestRoster(t *testing.T) {
	rows := table(t, "roster.txt")
	require.Equal(t, rosterVersions, rows[0])
	for column, version := range rows[0] {
		want, got := []string{}, []string{}
		for _, row := range rows[1:] {
			require.Len(t, row, len(rosterVersions)+1, row[0])
			if mark := row[column+1]; mark != "-" {
				want = append(want, row[0]+" "+mark)
			}
		}
		for _, d := range Of(sourcegraph, version) {
			mark := "S"
			if d.Optional != "" {
				mark = "o"
			}
			got = append(got, d.Name+" "+mark)
		}
		slices.Sort(want)
		slices.Sort(got)
		require.Equal(t, want, got, version)
	}
}

// TestPortTable holds section 7 of the catalog, as far as it is of one host, and what keeps each listener on loopback.
func TestPortTable(t *testing.T) {
	want := map[string][]string{}
	for _, row := range table(t, "ports.txt") {
		want[row[0]] = row[1:]
	}
	for _, version := range rosterVersions {
		for _, d := range Of(sourcegraph, version) {
			if isThirdParty(d.Name) {
				continue
			}
			for _, p := range d.Ports {
				row, ok := want[d.Name+"."+p.Name]
				require.True(t, ok, "%s.%s is not in the table", d.Name, p.Name)
				require.Equal(t, row[0], strconv.Itoa(p.Number), "%s.%s in %s", d.Name, p.Name, version)
				at := row[1]
				if CompareVersions(version, "5.0") >= 0 {
					at = row[2]
				}
				require.Equal(t, at, map[Bind]string{BindSet: "set", BindSwitch: "switch", BindAll: "all"}[p.Bind], "%s.%s in %s", d.Name, p.Name, version)
				require.Equal(t, p.Bind != BindSet, p.Fixed, "%s.%s in %s: a number that can be set has a host that can be set", d.Name, p.Name, version)
			}
		}
	}
}

func isThirdParty(name string) bool {
	return slices.ContainsFunc(thirdParties(), func(d Definition) bool { return d.Name == name })
}
