package roster

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// judges are the two that a document of appliance.yaml comes before.
type judges struct {
	t      testing.TB
	tree   map[string]any // the schema itself
	schema *jsonschema.Schema
	file   string
}

// newJudges has the files of all examples beside appliance.yaml.
func newJudges(t testing.TB) *judges {
	t.Helper()
	text, err := json.Marshal(Schema())
	require.NoError(t, err)
	j := &judges{t: t, file: filepath.Join(t.TempDir(), "appliance.yaml")}
	require.NoError(t, json.Unmarshal(text, &j.tree))
	tree, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource("appliance.json", tree))
	j.schema, err = compiler.Compile("appliance.json")
	require.NoError(t, err)
	for _, name := range []string{"tls/cert.pem", "tls/key.pem", "tls/ca.pem", "secrets/acme-eab", "secrets/git-key", "secrets/netrc", "git/known_hosts", "git/gitconfig", "site-config.jsonc", "secrets/license"} {
		path := filepath.Join(filepath.Dir(j.file), name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	return j
}

// decoder is what the appliance says of a document.
func (j *judges) decoder(text string) keys.Faults {
	r, c := keys.NewReader(j.file), config{places: keys.Places{}}
	if top := r.Document([]byte(text)); top != nil {
		c.readTop(r, top)
	}
	return r.Faults
}

// editor is what a tool with the schema says of it.
func (j *judges) editor(text string) error {
	var doc yaml.Node
	require.NoError(j.t, yaml.Unmarshal([]byte(text), &doc), text)
	return j.schema.Validate(asJSON(j.t, doc.Content[0]))
}

// asJSON is YAML as tools hand it to a schema: keys are words, a date is one.
func asJSON(t testing.TB, n *yaml.Node) any {
	switch n.Kind {
	case yaml.AliasNode:
		return asJSON(t, n.Alias)
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = asJSON(t, n.Content[i+1])
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, item := range n.Content {
			out = append(out, asJSON(t, item))
		}
		return out
	}
	var value any
	require.NoError(t, n.Decode(&value))
	if _, date := value.(time.Time); date {
		return n.Value
	}
	return value
}

// TestDocumentsOfThePagesFitTheSchema: what README.md shows, and the example of every key.
func TestDocumentsOfThePagesFitTheSchema(t *testing.T) {
	j := newJudges(t)
	page, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	require.GreaterOrEqual(t, len(blocks), 3)
	for _, b := range blocks {
		text := b[1]
		if strings.HasPrefix(text, "# services.d/") { // the same keys, one level up
			text = "services:\n  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
		}
		require.NoError(t, j.editor(text), text)
		require.Empty(t, j.decoder(text), text)
	}
	for _, k := range keys.List(Site{}) {
		if k.Group {
			continue
		}
		text := strings.NewReplacer("<name>", "hello", "<number>", "0", "<VARIABLE>", "A", "<port>", "http").Replace(k.Path)
		text = strings.ReplaceAll(text, ".", ": {") + ": " + k.Example + strings.Repeat("}", strings.Count(text, "."))
		require.NoError(t, j.editor(text), text)
	}
}

// TestFaultsThatTheSchemaKnows: an editor shows them before the appliance does.
func TestFaultsThatTheSchemaKnows(t *testing.T) {
	j := newJudges(t)
	for _, text := range []string{
		"listn: 127.0.0.1:7080", "listen: 7080", "listen: [a b]", "listen: {}", "url: ftp://a", "url: https://a/b", "trusted_proxies: [nobody]", "trusted_proxies: 10.0.0.0/8",
		"stop_timeout: soon", "stop_timeout: 90", "offline: 1", "offline: \"true\"", "auto_apply: maybe", "log: {stdout: 1}", "log: []", "metrics: {listen: 9464}", "acme: {accept_terms: false}",
		"acme: {directory: \"http://a\"}", "tls: {cert: tls/cert.pem, key: tls/key.pem, ca: x}", "postgres: {frontend: {host: a, user: b, database: c, sslmode: \"off\"}}",
		"postgres: {frontend: {host: a, user: b, database: c, port: 0}}", "postgres: {frontnd: {}}", "redis: {cache: {host: a, port: 65536}}", "redis: {cache: {host: a, tls: 1}}",
		"object_storage: {backend: s3}", "object_storage: {backend: S3, endpoint: \"s3.example.com\"}", "proxy: {http: \"proxy:3128\"}",
		"services: []", "services: {a: {replicas: 0}}", "services: {a: {replicas: many}}", "services: {a: {replicas: 1.5}}", "services: {a: {stop: {signal: TREM}}}",
		"services: {a: {budget: {memory: 2GB}}}", "services: {a: {budget: {memory: -1}}}", "services: {a: {budget: {cpus: -1}}}",
		"services: {a: {budget: {pids: 0}}}", "services: {a: {env: [A=b]}}", "services: {a: {env: {A-B: c}}}", "services: {a: {env: {A: []}}}", "services: {a: {command: /bin/true}}",
		"services: {a: {command: [[/bin/true]]}}", "services: {a: {ports: {HTTP: 1}}}", "services: {a: {ports: {http: 70000}}}", "services: {a: {ready: {http: healthz, port: http}}}",
		"services: {a: {ready: {tcp: false, port: http}}}", "services: {a: {ready: {log: \"(\"}}}", "services: {a: {live: {log: x}}}", "services: {a: {live: {notify: true}}}",
		"services: {a: {needs: [b, b]}}", "services: {a: {log: {format: xml}}}", "services: {a: {stop: {to: all}}}", "services: {a: {stop: {grace: 10}}}", "services: {a: {stop: ~}}", "services: ~",
		"services: {a: ~}", "services: {a: {user: Root}}", "services: {a: {caps: [net_admin]}}", "services: {a: {restart: {expected: \"[\"}}}", "services: {a: {disabled: ~}}",
	} {
		require.Error(t, j.editor(text), text)
		require.NotEmpty(t, j.decoder(text), text)
	}
}

// TestNumbersArePlain: YAML of one age takes 010 for eight, of another for ten.
func TestNumbersArePlain(t *testing.T) {
	j := newJudges(t)
	for _, number := range []string{"010", "0x10", "0o17", "1_000", "+1"} {
		faults := j.decoder("services: {a: {replicas: " + number + "}}")
		require.Len(t, faults, 1, number)
		require.Equal(t, "services.a.replicas: write "+number+" as a plain decimal number", faults[0].Message)
	}
}

// beyond are faults that a schema cannot know: they depend on the machine, on other keys, or are a bound of a text.
var beyond = regexp.MustCompile(strings.Join([]string{
	`no such file or directory$`, `is a directory$`, // the machine
	`is missing$`, `needs both `, `needs host, the mail server, and from`, `needs http or https`, `needs user, too$`, `has no effect with the backend`, `must ask in exactly one way`, `needs port:`, `has no use for port:`,
	`a service cannot wait for itself$`,                                                     // other keys
	`is outside \d[\d.]*(ms|s|m|h)`,                                                         // a duration
	`is less than 64KiB`, `is outside 0\.01 to 4096$`, `is too large$`, `must be positive$`, // a size, a number of CPUs
	`port "?\d+"? is outside`, `is no IP address of this machine$`, `is neither an IP address nor a network`, `names no host$`, `has more than scheme, host and port`, `is no URL$`, `the host name has the character`, // an address
	`write \S+ as a plain decimal number$`, `: "[-+]?[0-9][0-9a-fox_.+]*" is not `, `must be a whole number, not "[0-9.]+e[0-9]+"$`, // a notation of a number: the schema sees its value
	`must be an absolute path, or a name that is looked up$`, `(command|exec): is empty$`,
}, "|"))

// TestSchemaAndDecoderAgree: on random documents whatever the schema refuses the decoder refuses, and whatever the decoder refuses for a reason
// that a schema can know the schema refuses.
func TestSchemaAndDecoderAgree(t *testing.T) {
	j := newJudges(t)
	refused, taken := 0, 0
	for seed := range uint64(2_000) {
		g := generator{rand.New(rand.NewPCG(seed, 7))}
		text := g.object(j.tree)
		err, faults := j.editor(text), j.decoder(text)
		known := slices.DeleteFunc(slices.Clone(faults), func(f keys.Fault) bool { return beyond.MatchString(f.Message) })
		switch {
		case err != nil && len(faults) == 0:
			t.Fatalf("seed %d: the schema alone refuses\n%s\n%v", seed, text, err)
		case err == nil && len(known) > 0:
			t.Fatalf("seed %d: the decoder alone refuses\n%s\n%v", seed, text, known)
		case err == nil:
			taken++
		default:
			refused++
		}
	}
	require.Greater(t, refused, 200)
	require.Greater(t, taken, 200)
}

// generator writes random documents that have much to do with a schema.
type generator struct{ *rand.Rand }

// odd are values that look like something else, as YAML's flow style writes them.
var odd = []string{
	"~", "true", "false", "yes", "''", "x", "0", "1", "-1", "2", "1.5", "-0.5", "1e3", "0x10", "0o17", "010", "1_000", "+1", "7080", "65536", "99999999999999999999", "10s", "-10s", "+10s", "1h30m", "25h", ".5s",
	"1 s", "2GiB", "2GB", "1.5GiB", "64KiB", "' 2GiB '", "500m", "0.001", "[]", "{}", "[x]", "[~]", "[[]]", "{a: b}", "127.0.0.1:80", "'[::1]:80'", "':80'", "localhost:80", "http://:80", "https://127.0.0.1:80",
	"10.0.0.0/8", "10.0.0.0/99", "'::1'", "https://a.b", "HTTPS://A.b/", "https://a/b", "2020-01-01", "TERM", "SIGTERM", "term", "sigint", "KILL", "/", "/a b", "'('", "a.b", "A", "tls/cert.pem", "none",
}

func (g generator) odd() string { return odd[g.IntN(len(odd))] }

func (g generator) value(schema map[string]any) string {
	if g.IntN(8) == 0 {
		return g.odd()
	}
	if examples, ok := schema["examples"].([]any); ok && g.IntN(2) == 0 {
		text, err := json.Marshal(examples[0]) // JSON is YAML
		if err == nil {
			return string(text)
		}
	}
	if either, ok := schema["anyOf"].([]any); ok {
		return g.value(either[g.IntN(len(either))].(map[string]any))
	}
	if words, ok := schema["enum"].([]any); ok {
		return fmt.Sprint(words[g.IntN(len(words))])
	}
	if kinds, ok := schema["type"].([]any); ok {
		kind := kinds[g.IntN(len(kinds))]
		one := maps.Clone(schema)
		one["type"] = kind
		return g.value(one)
	}
	switch schema["type"] {
	case "object":
		return g.object(schema)
	case "array":
		var items []string
		for range g.IntN(3) {
			items = append(items, g.value(schema["items"].(map[string]any)))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case "integer":
		bounds := []any{schema["minimum"], schema["maximum"]}
		return fmt.Sprintf("%.0f", bounds[g.IntN(2)].(float64)+float64(g.IntN(3)-1))
	}
	return g.odd()
}

func (g generator) object(schema map[string]any) string {
	var words []string
	properties, _ := schema["properties"].(map[string]any)
	names := slices.Sorted(maps.Keys(properties))
	g.Shuffle(len(names), func(i, k int) { names[i], names[k] = names[k], names[i] })
	for _, name := range names[:min(len(names), 1+g.IntN(3))] {
		words = append(words, name+": "+g.value(properties[name].(map[string]any)))
	}
	if more, ok := schema["additionalProperties"].(map[string]any); ok {
		for _, name := range []string{"gitserver", "A_B", "http", "9x", "~"}[g.IntN(5):][:1] {
			words = append(words, name+": "+g.value(more))
		}
	} else if g.IntN(20) == 0 {
		words = append(words, "zzz: "+g.odd())
	}
	return "{" + strings.Join(words, ", ") + "}"
}
