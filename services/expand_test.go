package services

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExpandAgreesWithTextTemplate: what the quick way answers is what text/template answers, for every text of every definition.
func TestExpandAgreesWithTextTemplate(t *testing.T) {
	quick := 0
	for _, version := range rosterVersions {
		in := input(t, everythingOn(version))
		in.secretRefs = refs(nil)
		list, err := in.Effective()
		require.NoError(t, err)
		for _, e := range list {
			inst := Instance{Service: e.Name, Replicas: 1, Addresses: map[string]string{}, RunDir: "/run/x", Program: in.Programs[e.Name].Path}
			scope, err := in.scope(list, e, &inst)
			require.NoError(t, err)
			for _, text := range texts(in, list, e) {
				got, ok := scope.expand(text)
				if !ok {
					continue
				}
				quick++
				want, err := scope.execute("text", text)
				require.NoError(t, err, text)
				require.Equal(t, want, got, text)
			}
		}
	}
	require.Greater(t, quick, 1000, "nearly all are plain")
}

func TestExpandLeavesTheRestToTextTemplate(t *testing.T) {
	s := Scope{Address: map[string]string{"http": "127.0.0.1:1"}}
	for _, text := range []string{
		"{{ .Address.nope }}", "{{ .Nope }}", "{{", "{{ }}", "{{- .Address.http -}}", `{{ .Bin "a b" }}`, `{{ .Bin "\x41" }}`, "{{ range .Scrapes }}x{{ end }}", `{{ "}}" }}`, "{{ . }}",
	} {
		_, ok := s.expand(text)
		require.False(t, ok, text)
	}
	got, ok := s.expand("a {{ .Address.http }} b {{.Address.http}}")
	require.True(t, ok)
	require.Equal(t, "a 127.0.0.1:1 b 127.0.0.1:1", got)
}

func texts(in Input, list []Effective, e Effective) []string {
	out := append([]string{}, e.Command...)
	for _, value := range in.env(list, e) {
		out = append(out, value)
	}
	for _, f := range e.Files {
		out = append(out, f.Path, f.Content)
	}
	for _, d := range e.Data {
		out = append(out, d.Path)
	}
	return out
}
