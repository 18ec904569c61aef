package roster

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

var update = flag.Bool("update", false, "write REFERENCE.md anew")

// TestConfigurationReferenceIsCurrent: the page says what the decoder obeys. Write it anew with: go test ./supervisor/roster -run Reference -update
func TestConfigurationReferenceIsCurrent(t *testing.T) {
	if *update {
		require.NoError(t, os.WriteFile("REFERENCE.md", []byte(Reference()), 0o644))
	}
	page, err := os.ReadFile("REFERENCE.md")
	require.NoError(t, err)
	require.Equal(t, Reference(), string(page), "write it anew with: go test ./supervisor/roster -run Reference -update")
}

func TestEveryKeyIsDocumented(t *testing.T) {
	for _, k := range keys.List(Site{}) {
		require.NotEmpty(t, k.Doc, k.Path)
		require.False(t, strings.HasSuffix(k.Doc, "."), "%s: %s", k.Path, k.Doc)
		if !k.Group {
			require.NotEmpty(t, k.Example, k.Path)
			require.NotEmpty(t, k.Changing, k.Path)
			var value any
			require.NoError(t, yaml.Unmarshal([]byte(k.Example), &value), k.Path)
		}
	}
}

// TestSchemaNamesEveryKey: an editor completes what the decoder takes.
func TestSchemaNamesEveryKey(t *testing.T) {
	text, err := json.Marshal(Schema())
	require.NoError(t, err)
	var schema map[string]any
	require.NoError(t, json.Unmarshal(text, &schema))
	for _, k := range keys.List(Site{}) {
		at := schema
		for word := range strings.SplitSeq(k.Path, ".") {
			next, ok := at["additionalProperties"].(map[string]any)
			if !strings.HasPrefix(word, "<") {
				next, ok = at["properties"].(map[string]any)[word].(map[string]any)
			}
			require.True(t, ok, k.Path)
			at = next
		}
	}
	require.Equal(t, false, schema["additionalProperties"], "an unknown key is a fault")
}
