package roster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/services"
)

// ownBuild writes a program of an engineer's own.
func (s *site) ownBuild(content string, mode os.FileMode) string {
	s.t.Helper()
	path := filepath.Join(s.dir, "own")
	require.NoError(s.t, os.WriteFile(path, []byte(content), 0o755))
	require.NoError(s.t, os.Chmod(path, mode))
	return path
}

func instanceOf(t *testing.T, r *Roster, service string) services.Instance {
	t.Helper()
	for _, inst := range r.Plan.Instances {
		if inst.Service == service {
			return inst
		}
	}
	t.Fatalf("no %s", service)
	return services.Instance{}
}

func TestOverridesThatAreRefused(t *testing.T) {
	foreign := "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\xf3\x00\x01\x00\x00\x00" + strings.Repeat("\x00", 28) + "\x40\x00\x38\x00\x00\x00\x40\x00\x00\x00\x00\x00"
	for name, tc := range map[string]struct {
		service, content, yaml string
		mode                   os.FileMode
		want, hint             string
	}{
		"no such service":  {"gitservr", "#!/bin/sh\n", "", 0o755, `did you mean "gitserver"?`, "--override SERVICE=PROGRAM"},
		"not executable":   {"gitserver", "#!/bin/sh\n", "", 0o644, "is not executable (mode 0644)", "chmod +x"},
		"not a program":    {"gitserver", "hello", "", 0o755, "is neither a Linux program nor a script", "GOARCH="},
		"another machine":  {"gitserver", foreign, "", 0o755, "was built for EM_RISCV", "GOARCH="},
		"not there":        {"gitserver", "", "", 0, "is not there", "build it first"},
		"said twice":       {"gitserver", "#!/bin/sh\n", "services: {gitserver: {command: [/bin/true]}}", 0o755, "services.gitserver.command names its program already", ""},
		"that runs nobody": {"postgres", "#!/bin/sh\n", elsewhereYAML, 0o755, "it runs elsewhere", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, map[string]string{"appliance.yaml": tc.yaml, "secrets/pg": "x"})
			s.release("1.0.0", nil)
			own := filepath.Join(s.dir, "own")
			if tc.mode != 0 {
				s.ownBuild(tc.content, tc.mode)
			}
			s.opts.Overrides = map[string]string{tc.service: own}
			_, err := Load(s.opts)
			require.Equal(t, CodeInvalid, code(err))
			require.ErrorContains(t, err, "--override "+tc.service)
			require.ErrorContains(t, err, tc.want)
			require.Contains(t, err.(*Refusal).Hint(), tc.hint)
		})
	}
}

const elsewhereYAML = `postgres:
  frontend: {host: db, user: sg, password_secret: pg, database: a}
  codeintel: {host: db, user: sg, password_secret: pg, database: b}
  codeinsights: {host: db, user: sg, password_secret: pg, database: c}
`

// TestOverrideIsCopiedAndTakenAnew: the plan changes with the content of the build, and helpers are still found beside the release's programs.
func TestOverrideIsCopiedAndTakenAnew(t *testing.T) {
	s := newSite(t, nil)
	s.release("1.0.0", nil)
	plain := instanceOf(t, s.load(), "gitserver")
	own := s.ownBuild("#!/bin/sh\necho one\n", 0o700)
	s.opts.Overrides = map[string]string{"gitserver": own}
	r := s.load()
	first := instanceOf(t, r, "gitserver")
	require.Equal(t, "override", first.Source)
	require.Equal(t, filepath.Join(s.opts.DataDir, "overrides", "gitserver", "gitserver"), first.Program, "its name stays: a program may go by it")
	require.NotEqual(t, plain.Hash, first.Hash)
	require.Equal(t, plain.Env, first.Env, "PATH among them")
	require.Contains(t, strings.Join(r.Warnings, "\n"), "gitserver is an override: it runs a copy of "+own)
	info, err := os.Stat(first.Program)
	require.NoError(t, err)
	require.EqualValues(t, 0o755, info.Mode().Perm(), "services of another user can run it")
	require.Equal(t, r.Plan.Hash, s.load().Plan.Hash, "the same build restarts nothing")

	same, err := r.Rebuild(s.opts, []string{"gitserver"})
	require.NoError(t, err)
	require.Same(t, r, same)
	s.ownBuild("#!/bin/sh\necho two\n", 0o700)
	same, err = r.Rebuild(s.opts, []string{"searcher"})
	require.NoError(t, err)
	require.Same(t, r, same, "only what is restarted is taken anew")
	next, err := r.Rebuild(s.opts, []string{"gitserver"})
	require.NoError(t, err)
	require.NotEqual(t, first.Hash, instanceOf(t, next, "gitserver").Hash)
	require.Equal(t, first.Hash, instanceOf(t, r, "gitserver").Hash, "the roster before is untouched")
	require.Equal(t, s.load().Plan.Hash, next.Plan.Hash, "a reload finds nothing left to do")
	content, err := os.ReadFile(first.Program)
	require.NoError(t, err)
	require.Contains(t, string(content), "two")
}

// TestCommandOfTheSiteKeepsTheReleaseInPath: helpers such as universal-ctags are found by name.
func TestCommandOfTheSiteKeepsTheReleaseInPath(t *testing.T) {
	s := newSite(t, map[string]string{"appliance.yaml": "services: {gitserver: {command: [/bin/true]}}"})
	s.release("1.0.0", nil)
	r := s.load()
	require.Contains(t, strings.Join(instanceOf(t, r, "gitserver").Env, "\n"), "PATH="+filepath.Join(r.Dir, "bin")+":")
}
