package keys

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sourcegraph/appliance/limits"
)

// maxFile bounds a file, in bytes; a larger one is a mistake, such as a binary.
const maxFile = 1 << 20

// Reader turns YAML into values and collects what is wrong, each fault where it stands.
type Reader struct {
	File   string
	Faults Faults
	Places Places
}

// NewReader reads what is in a file of this name. A relative path in it is meant from its directory.
func NewReader(file string) *Reader { return &Reader{File: file, Places: Places{}} }

// Document parses the file and returns its top node, or nil when it is empty or no YAML.
func (r *Reader) Document(content []byte) *yaml.Node {
	if len(content) > maxFile {
		r.Faults = append(r.Faults, Fault{File: r.File, Message: fmt.Sprintf("is larger than %s", limits.FormatBytes(maxFile))})
		return nil
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(content)))
	var doc, second yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if len(strings.TrimSpace(string(content))) > 0 && err.Error() != "EOF" {
			r.syntax(err)
		}
		return nil
	}
	if err := decoder.Decode(&second); err == nil {
		r.At(&second, "a second document in one file; write one file for each")
	} else if err.Error() != "EOF" {
		r.syntax(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil
	}
	return doc.Content[0]
}

// syntax reports an error of the YAML parser, which knows a line at most.
func (r *Reader) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	fault := Fault{File: r.File, Message: "no valid YAML: " + text}
	if m := regexp.MustCompile(`^line (\d+): (.*)$`).FindStringSubmatch(text); m != nil {
		fault.Line, _ = strconv.Atoi(m[1])
		fault.Column, fault.Message = 1, "no valid YAML: "+m[2]
	}
	r.Faults = append(r.Faults, fault)
}

// At reports a fault of what a node says.
func (r *Reader) At(n *yaml.Node, format string, args ...any) {
	r.Faults = append(r.Faults, r.place(n).Fault(format, args...))
}

func (r *Reader) place(n *yaml.Node) Place { return Place{r.File, max(1, n.Line), max(1, n.Column)} }

// EachKey calls f for each key of a mapping. A key given twice is a fault.
func (r *Reader) EachKey(n *yaml.Node, path string, f func(key, value *yaml.Node)) bool {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.At(n, "%s must be a mapping of keys to values, not %s", called(path), describe(n))
		return false
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), resolve(n.Content[i+1])
		if key.Kind != yaml.ScalarNode {
			r.At(key, "a key of %s must be a word, not %s", called(path), describe(key))
			continue
		}
		if line, twice := seen[key.Value]; twice {
			r.At(key, "key %q is already given in line %d", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		r.Places[join(path, key.Value)] = r.place(key)
		f(key, value)
	}
	return true
}

func (r *Reader) unknown(key *yaml.Node, path string, known []string) {
	if near := Nearest(key.Value, known); near != "" {
		r.At(key, "unknown key %q in %s, did you mean %q?", key.Value, called(path), near)
		return
	}
	r.At(key, "unknown key %q in %s; there are: %s", key.Value, called(path), strings.Join(known, ", "))
}

// called is how a fault names a path.
func called(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

// resolve follows aliases; a chain of them ends, since an anchor is defined before it is used.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	return strconv.Quote(shorten(n.Value, 40))
}

func shorten(text string, n int) string {
	if len(text) <= n {
		return text
	}
	return strings.ToValidUTF8(text[:n], "") + "…"
}
