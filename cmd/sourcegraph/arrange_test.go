package main

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFlagsStandAnywhere(t *testing.T) {
	for in, want := range map[string]string{
		"status --json":                          "--json status --",
		"status gitserver/1 --json --data /x":    "--json --data=/x status -- gitserver/1",
		"logs gitserver -fn5 --since 1h":         "logs --follow --lines=5 --since=1h -- gitserver",
		"logs -n 5 -f x":                         "logs --lines=5 --follow -- x",
		"logs -n=5":                              "logs --lines=5 --",
		"-json status":                           "--json status --",
		"exec gitserver --json -- ls -l --json":  "--json exec -- gitserver ls -l --json",
		"services show x --release-version 3.38": "services show --release-version=3.38 -- x",
		"stop --dry-run=false a":                 "stop --dry-run=false -- a",
		"status -h":                              "status --help",
		"help status":                            "status --help",
		"services":                               "services --help",
		"":                                       "--help",
		"psql sg -- -c select":                   "psql -- sg -c select",
		"run --listen :1 --release none":         "run --listen=:1 --release=none --",
	} {
		t.Run(in, func(t *testing.T) {
			got, err := arrange(newApp(io.Discard, io.Discard), append([]string{"x"}, strings.Fields(in)...))
			require.NoError(t, err)
			require.Equal(t, strings.Fields(want), got[1:])
		})
	}
}

func TestMistypedIsUsageAndNamesTheNearest(t *testing.T) {
	for in, want := range map[string][2]string{
		"statsu":                {`there is no command "statsu"`, "did you mean: status"},
		"services lits":         {`there is no command "services lits"`, "did you mean: list"},
		"xyzzyxyzzy":            {`there is no command "xyzzyxyzzy"`, "see: sourcegraph -h"},
		"status --jsno":         {"sourcegraph status has no flag --jsno", "did you mean: --json"},
		"logs --folow=x":        {"sourcegraph logs has no flag --folow", "did you mean: --follow"},
		"status --data":         {"--data needs a value", ""},
		"logs -n --":            {"-n needs a value", ""},
		"start":                 {"start needs a SERVICE", ""},
		"why a b":               {"why needs exactly one SERVICE", ""},
		"wait --for ever":       {`--for "ever" is neither ready nor stopped`, ""},
		"wait --timeout x":      {`invalid value "x" for flag -timeout`, ""},
		"logs --level loud":     {`--level "loud" is none of`, ""},
		"logs --grep (":         {`--grep "(" is no regular expression`, ""},
		"logs -n many":          {`-n "many" is no number of lines`, ""},
		"logs --since never":    {`"never" is no time`, `write "2026-01-02 03:04"`},
		"top --sort name":       {`--sort "name" is neither`, ""},
		"completion tcsh":       {"completion needs one of bash, zsh, fish", ""},
		"exec gitserver":        {"exec needs a SERVICE and", ""},
		"shutdown gitserver":    {"shutdown takes no argument", ""},
		"services show pstgres": {`there is no service "pstgres"`, "did you mean: postgres"},
	} {
		t.Run(in, func(t *testing.T) {
			got := runHere(strings.Fields(in)...)
			require.Equal(t, exitUsage, got.code, got.progress)
			require.Contains(t, got.progress, want[0])
			require.Contains(t, got.progress, want[1])
			require.Empty(t, got.out, "stdout is for results")
		})
	}
}

func TestVariablesStandInForFlags(t *testing.T) {
	t.Setenv("APPLIANCE_RUN_DIR", demo().begin(t).dir)
	require.Contains(t, runHere("status").out, "demo-1.0.0 answers")
	t.Setenv("APPLIANCE_JSON", "true")
	require.Contains(t, runHere("status").out, `"schema": 1`)
	require.NotContains(t, runHere("status", "--json=false").out, `"schema": 1`, "a flag beats its variable")
	t.Setenv("APPLIANCE_STRICT", "perhaps")
	got := runHere("status")
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.progress, "perhaps")
}
