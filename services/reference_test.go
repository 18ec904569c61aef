package services

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReferenceIsCurrent: the pages say what the definitions say. Write them anew with: go test ./services -run Reference -update
func TestReferenceIsCurrent(t *testing.T) {
	for name, page := range map[string]string{"REFERENCE.md": referencePage(All()), "ENVIRONMENT.md": environmentPage(All())} {
		if *update {
			require.NoError(t, os.WriteFile(name, []byte(page), 0o644))
		}
		written, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, page, string(written), "write it anew with: go test ./services -run Reference -update")
	}
}

// TestEveryRowOfTheReferenceSaysSomething: no cell that a reader looks for is empty, and nothing is listed without its service.
func TestEveryRowOfTheReferenceSaysSomething(t *testing.T) {
	for name, page := range map[string]string{"REFERENCE.md": referencePage(All()), "ENVIRONMENT.md": environmentPage(All())} {
		rows := 0
		for line := range strings.Lines(page) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line, "|") || line == "| | |" {
				continue
			}
			rows++
			for _, cell := range strings.Split(strings.ReplaceAll(strings.Trim(line, "|"), `\|`, ""), "|") {
				require.NotEmpty(t, strings.TrimSpace(cell), "%s: %s", name, line)
			}
		}
		require.Greater(t, rows, 100, name)
		for _, d := range All() {
			require.Contains(t, page, "\n### "+d.Name+"\n", name)
		}
	}
}

// TestOptionalHasAReason: what is off says why, in every version, and the one key that turns it on does.
func TestOptionalHasAReason(t *testing.T) {
	for _, d := range All() {
		for _, from := range edges(d) {
			at := d.At(sourcegraph, from)
			if at.Optional == "" || !d.In(sourcegraph, from) {
				continue
			}
			require.Greater(t, len(strings.Fields(at.Optional)), 2, "%s %s: %q is no reason", d.Name, from, at.Optional)
			off, err := Selection{Product: sourcegraph, Version: from}.Effective()
			require.NoError(t, err)
			on, err := Selection{Product: sourcegraph, Version: from, Overrides: map[string]Override{d.Name: {Disabled: new(bool)}}}.Effective()
			require.NoError(t, err)
			is := func(e Effective) bool { return e.Name == d.Name }
			require.True(t, off[slices.IndexFunc(off, is)].Disabled, "%s %s", d.Name, from)
			require.False(t, on[slices.IndexFunc(on, is)].Disabled, "%s %s", d.Name, from)
		}
	}
}

// edges are the versions of Sourcegraph at which a definition may change, in order.
func edges(d Definition) []string {
	var out []string
	add := func(list []Releases) {
		for _, r := range list {
			if r.Product == sourcegraph {
				out = append(out, r.From)
				if r.Until != "" {
					out = append(out, r.Until)
				}
			}
		}
	}
	add(d.Releases)
	for _, v := range d.Variants {
		add(v.In)
	}
	for _, k := range d.Demand.Knobs {
		add(k.In)
	}
	slices.SortFunc(out, CompareVersions)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(v string) bool { return !d.In(sourcegraph, v) })
}

// span is a text that holds for a range of versions.
type span struct{ in, text string }

// spans asks for a text in every version at which a definition may change; ranges of the same text are one.
func spans(d Definition, ask func(Definition) string) []span {
	var out []span
	list := edges(d)
	for i := 0; i < len(list); {
		text := ask(d.At(sourcegraph, list[i]))
		j := i + 1
		for j < len(list) && ask(d.At(sourcegraph, list[j])) == text {
			j++
		}
		until := ""
		if j < len(list) {
			until = list[j]
		} else {
			until = end(d)
		}
		out = append(out, span{versionRange(list[i], until), text})
		i = j
	}
	if d.In(demo, "1.0.0") {
		out = append(out, span{"demo", ask(d.At(demo, "1.0.0"))})
	}
	return out
}

// end is the version that a service is gone in; empty while it is there.
func end(d Definition) string {
	last := Releases{}
	for _, r := range d.Releases {
		if r.Product == sourcegraph {
			last = r
		}
	}
	return last.Until
}

func versionRange(from, until string) string {
	if until == "" {
		return "from " + from
	}
	return from + " until " + until
}

// merged is one line for each text, with all the ranges that have it; a text that holds throughout stands alone.
func merged(list []span) string {
	var texts []string
	in := map[string][]string{}
	for _, s := range list {
		if s.text == "" {
			s.text = "–"
		}
		if !slices.Contains(texts, s.text) {
			texts = append(texts, s.text)
		}
		in[s.text] = append(in[s.text], s.in)
	}
	if len(texts) == 1 {
		return texts[0]
	}
	var out []string
	for _, text := range texts {
		out = append(out, strings.Join(in[text], ", ")+": "+text)
	}
	return strings.Join(out, "<br>")
}

// throughoutVersions is where a service exists.
func existsIn(d Definition) string {
	var out []string
	for _, r := range d.Releases {
		if r.Product == sourcegraph {
			out = append(out, versionRange(r.From, r.Until))
		} else {
			out = append(out, r.Product)
		}
	}
	return strings.Join(out, ", ")
}

func cell(text string) string {
	return cmp.Or(strings.ReplaceAll(strings.ReplaceAll(text, "|", `\|`), "\n", " "), "–")
}

func row(b *strings.Builder, cells ...string) {
	for i := range cells {
		cells[i] = cell(cells[i])
	}
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// heads begins a table.
func heads(b *strings.Builder, names ...string) {
	fmt.Fprintf(b, "\n| %s |\n|%s\n", strings.Join(names, " | "), strings.Repeat("---|", len(names)))
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
