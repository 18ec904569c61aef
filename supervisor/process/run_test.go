package process

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func shell(script string) Spec {
	return Spec{Program: "/bin/sh", Argv: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Dir: "/", UID: NoChange, CgroupFD: -1}
}

func TestRun(t *testing.T) {
	s := newSpawner(t)
	ended, err := s.Run(t.Context(), shell("cat; echo to stderr >&2"), "hello\n")
	require.NoError(t, err)
	require.Equal(t, "hello\nto stderr\n", ended.Output)

	ended, err = s.Run(t.Context(), shell("cat; echo first; echo no such table; exit 3"), "")
	require.EqualError(t, err, "run /bin/sh: exit 3: no such table")
	require.Equal(t, 3, ended.Exit.Code)

	_, err = s.Run(t.Context(), shell("kill -9 $$"), "")
	require.EqualError(t, err, "run /bin/sh: killed by KILL")

	ended, err = s.Run(t.Context(), shell("head -c 100000 /dev/zero | tr '\\0' x; echo end"), "")
	require.NoError(t, err)
	require.Len(t, ended.Output, maxOutput)
	require.Equal(t, "xxend\n", ended.Output[maxOutput-6:])

	for range 20 { // more than a pipe holds, faster than we read: a write that does not block would fail
		ended, err = s.Run(t.Context(), shell("head -c 300000 /dev/zero && echo end"), "")
		require.NoError(t, err)
		require.Equal(t, "\x00end\n", ended.Output[maxOutput-5:])
	}

	_, err = s.Run(t.Context(), Spec{Program: "/none", Argv: []string{"x"}, Dir: "/", UID: NoChange, CgroupFD: -1}, "")
	var e *ExecError
	require.ErrorAs(t, err, &e)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Run(ctx, shell("true"), "")
	require.ErrorIs(t, err, context.Canceled)
}

// E38: what does not end in time is killed as a tree, sessions of its own included.
func TestE38CommandIsKilledAsATree(t *testing.T) {
	s := newSpawner(t)
	ctx, cancel := context.WithCancel(t.Context())
	spec := shell("setsid sleep 29 & sleep 28 & wait")
	spec.Env = append(spec.Env, EnvVariable+"="+t.Name())
	done := make(chan error, 1)
	go func() {
		_, err := s.Run(ctx, spec, "")
		done <- err
	}()
	require.Eventually(t, func() bool { return len(scan(t).EnvMarked(t.Name())) == 3 }, patience, tick)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.Eventually(t, func() bool { return len(living(scan(t).EnvMarked(t.Name()))) == 0 }, patience, tick)
}

// E44: a grandchild that keeps the output open does not delay the end.
func TestE44GrandchildKeepsThePipe(t *testing.T) {
	s := newSpawner(t)
	spec := shell("echo done; sleep 29 & exit 0")
	spec.Env = append(spec.Env, EnvVariable+"="+t.Name())
	ended, err := s.Run(t.Context(), spec, "")
	require.NoError(t, err)
	require.Equal(t, "done\n", ended.Output)
	left := scan(t).EnvMarked(t.Name())
	require.NotEmpty(t, left, "it lives on: the caller's cgroup or mark is what finds it")
	for _, p := range left {
		require.NotEqual(t, os.Getpid(), p.PID)
		require.NoError(t, p.Signal(9))
	}
}
