package roster

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sourcegraph/appliance/limits"
)

// maxFile bounds a configuration file; a larger one is a mistake, such as a binary.
const maxFile = 1 << 20

// reader turns YAML nodes into values and collects what is wrong, each fault where it stands.
type reader struct {
	file   string
	faults Faults
}

// document parses one file and returns its top node, or nil when it is empty or no YAML.
func (r *reader) document(content []byte) *yaml.Node {
	if len(content) > maxFile {
		r.faults = append(r.faults, Fault{File: r.file, Message: fmt.Sprintf("is larger than %s", limits.FormatBytes(maxFile))})
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
		r.at(&second, "a second document in one file; write one file for each")
	} else if err.Error() != "EOF" {
		r.syntax(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil
	}
	return doc.Content[0]
}

// syntax reports an error of the YAML parser, which knows a line at most.
func (r *reader) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	fault := Fault{File: r.file, Message: "no valid YAML: " + text}
	if m := regexp.MustCompile(`^line (\d+): (.*)$`).FindStringSubmatch(text); m != nil {
		fault.Line, _ = strconv.Atoi(m[1])
		fault.Column, fault.Message = 1, "no valid YAML: "+m[2]
	}
	r.faults = append(r.faults, fault)
}

func (r *reader) at(n *yaml.Node, format string, args ...any) {
	r.faults = append(r.faults, Fault{r.file, max(1, n.Line), max(1, n.Column), fmt.Sprintf(format, args...)})
}

// field reads the value of one key.
type field func(value *yaml.Node)

// mapping calls the field of each key. An unknown key is a fault that names the nearest known one, and so is a key given twice.
func (r *reader) mapping(n *yaml.Node, what string, order []string, fields map[string]field) {
	r.eachKey(n, what, func(key, value *yaml.Node) {
		read, ok := fields[key.Value]
		if !ok {
			r.unknown(key, what, order)
			return
		}
		read(value)
	})
}

func (r *reader) unknown(key *yaml.Node, what string, known []string) {
	if near := nearest(key.Value, known); near != "" {
		r.at(key, "unknown key %q in %s, did you mean %q?", key.Value, what, near)
		return
	}
	r.at(key, "unknown key %q in %s; there are: %s", key.Value, what, strings.Join(known, ", "))
}

func (r *reader) eachKey(n *yaml.Node, what string, f func(key, value *yaml.Node)) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.at(n, "%s must be a mapping of keys to values, not %s", what, describe(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), resolve(n.Content[i+1])
		if key.Kind != yaml.ScalarNode {
			r.at(key, "a key of %s must be a word, not %s", what, describe(key))
			continue
		}
		if line, twice := seen[key.Value]; twice {
			r.at(key, "key %q is already given in line %d", key.Value, line)
			continue
		}
		seen[key.Value] = key.Line
		f(key, value)
	}
}

// text reads any scalar that people would take for text; numbers and dates are taken as they are written.
func (r *reader) text(n *yaml.Node, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.at(n, "%s must be a text, not %s", what, describe(n))
		return "", false
	}
	if strings.ContainsRune(n.Value, 0) {
		r.at(n, "%s holds a NUL byte", what)
		return "", false
	}
	return n.Value, true
}

func (r *reader) texts(n *yaml.Node, what string) []string {
	out := []string{}
	r.eachItem(n, what, func(item *yaml.Node) {
		if text, ok := r.text(item, "an entry of "+what); ok {
			out = append(out, text)
		}
	})
	return out
}

func (r *reader) eachItem(n *yaml.Node, what string, f func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		r.at(n, "%s must be a list such as [a, b], not %s", what, describe(n))
		return
	}
	for _, item := range n.Content {
		f(resolve(item))
	}
}

func (r *reader) number(n *yaml.Node, what string, low, high int) (int, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" {
		r.at(n, "%s must be a whole number, not %s", what, describe(n))
		return 0, false
	}
	number, err := strconv.Atoi(n.Value)
	if err != nil || number < low || number > high {
		r.at(n, "%s: %s is outside %d..%d", what, n.Value, low, high)
		return 0, false
	}
	return number, true
}

func (r *reader) boolean(n *yaml.Node, what string) (bool, bool) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		r.at(n, "%s must be true or false, not %s", what, describe(n))
		return false, false
	}
	return strings.EqualFold(n.Value, "true"), true
}

func (r *reader) duration(n *yaml.Node, what string, low, high time.Duration) (time.Duration, bool) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.at(n, "%s must be a duration such as 10s, not %s", what, describe(n))
		return 0, false
	}
	d, err := time.ParseDuration(n.Value)
	if err != nil {
		r.at(n, "%s: %q is no duration; write 500ms, 10s or 2m", what, n.Value)
		return 0, false
	}
	if d < low || d > high {
		r.at(n, "%s: %s is outside %s..%s", what, n.Value, low, high)
		return 0, false
	}
	return d, true
}

func (r *reader) bytes(n *yaml.Node, what string) (int64, bool) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.at(n, "%s must be a size such as 256MiB, not %s", what, describe(n))
		return 0, false
	}
	size, err := limits.ParseBytes(n.Value)
	if err != nil {
		r.at(n, "%s: %v", what, err)
		return 0, false
	}
	return size, true
}

func (r *reader) cpus(n *yaml.Node, what string) (float64, bool) {
	if n.Kind != yaml.ScalarNode || isNull(n) {
		r.at(n, "%s must be a number of CPUs such as 0.5, not %s", what, describe(n))
		return 0, false
	}
	cpus, err := limits.ParseCPUs(n.Value)
	if err != nil {
		r.at(n, "%s: %v", what, err)
		return 0, false
	}
	return cpus, true
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

// readFile returns a file's content; a file that is not there has none.
func readFile(path string) ([]byte, bool, error) {
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return nil, false, nil
	}
	if err == nil && info.IsDir() {
		err = fmt.Errorf("is a directory")
	}
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", path, err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, false, fmt.Errorf("read %s: %w", path, err)
	}
	return content, true, nil
}
