package roster

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/roster/keys"
)

// TestExplainAnswersForEveryKey: of the appliance, and of every service of the release, with what it may be and what a change of it does.
func TestExplainAnswersForEveryKey(t *testing.T) {
	s := newSite(t, nil)
	s.release("1.0.0", nil)
	r := s.load()
	asked := 0
	for _, inst := range r.Plan.Instances {
		variables, ports := []string{"A_NEW_ONE"}, []string{}
		for _, pair := range inst.Env {
			name, _, _ := strings.Cut(pair, "=")
			variables = append(variables, name)
		}
		for port := range inst.Addresses {
			ports = append(ports, port)
		}
		for _, k := range keys.List(Site{}) {
			if k.Group || !strings.HasPrefix(k.Path, "services.<name>.") {
				continue
			}
			key := strings.ReplaceAll(k.Path, "<name>", inst.Service)
			paths := []string{key}
			for hole, words := range map[string][]string{"<VARIABLE>": variables, "<port>": ports} {
				if !strings.Contains(key, hole) {
					continue
				}
				paths = nil
				for _, word := range words {
					paths = append(paths, strings.ReplaceAll(key, hole, word))
				}
			}
			for _, path := range paths {
				e, err := r.Explain(path)
				require.NoError(t, err, path)
				require.NotEmpty(t, e.May, path)
				require.NotEmpty(t, e.Changing, path)
				require.NotEmpty(t, e.Origin, path)
				asked++
			}
		}
	}
	for _, k := range keys.List(Site{}) {
		if path := strings.ReplaceAll(k.Path, "<number>", "0"); !k.Group && !strings.Contains(path, "<") {
			e, err := r.Explain(path)
			require.NoError(t, err, path)
			require.NotEmpty(t, e.May, path)
			asked++
		}
	}
	require.Greater(t, asked, 300)
}
