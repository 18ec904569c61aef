package supervisor_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

func TestInvalidDropInsAreNamedByPlace(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"unknown key":  {"bad:\n  command: [/bin/true]\n  comand: x\n", []string{"bad.yaml:3:3", "comand", "command"}},
		"wrong type":   {"bad:\n  command: [/bin/true]\n  replicas: many\n", []string{"bad.yaml:3:13", "replicas", "many"}},
		"no yaml":      {"bad:\n  command: [/bin/true\n", []string{"bad.yaml:"}},
		"unknown need": {"bad:\n  command: [/bin/true]\n  needs: [nothing]\n", []string{"bad.yaml:3:11", "nothing"}},
		"E30 cycle": {"bad:\n  command: [/bin/true]\n  needs: [worse]\nworse:\n  command: [/bin/true]\n  needs: [bad]\n",
			[]string{"bad", "worse"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAppliance(t)
			a.dropIn("bad", tc.text)
			require.Equal(t, 2, a.run().code())
			for _, want := range tc.want {
				require.Contains(t, a.out.String(), want)
			}
			a.noOneIsLeft()
		})
	}
}

func TestE30CycleAtReloadKeepsTheOldPlan(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.service("one", "idle", "")
	a.service("two", "idle", "needs: [one]\n")
	a.run().awaitReady("one", "two")
	one, two := a.find("one").PID, a.find("two").PID
	a.service("one", "idle", "needs: [two]\n")
	_, err := a.client.Reload(a.context())
	require.ErrorContains(t, err, "one")
	var fault *api.Error
	require.ErrorAs(t, err, &fault)
	require.Equal(t, 2, fault.Code)
	require.Equal(t, one, a.find("one").PID)
	require.Equal(t, two, a.find("two").PID)
	require.NoError(t, a.cmd.Process.Signal(syscall.SIGHUP)) // the other way to reload
	a.until("the refusal is said", func() bool { return strings.Contains(a.out.String(), "services wait for each other in a circle") })
	require.Equal(t, one, a.find("one").PID)
	require.Equal(t, two, a.find("two").PID)
	require.Equal(t, 0, a.term())
}

func TestE23ProgramsThatCannotRunFailWithTheirPath(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		foreign := a.file("foreign") // an ELF header of another machine
		header := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 57)...)
		header[16], header[18] = 2, 0xF3
		require.NoError(t, os.WriteFile(foreign, header, 0o755))
		script := a.file("script")
		require.NoError(t, os.WriteFile(script, []byte("#!/no/such/interpreter\n"), 0o755))
		plain := a.file("plain")
		require.NoError(t, os.WriteFile(plain, []byte("#!/bin/sh\n"), 0o644))
		for name, path := range map[string]string{"missing": a.file("missing"), "foreign": foreign, "script": script, "plain": plain} {
			a.dropIn(name, name+":\n  command: ["+path+"]\n")
		}
		a.service("idle", "idle", "")
		a.service("after", "idle", "needs: [missing]\n")
		a.run().awaitReady("idle")
		for name, want := range map[string]string{"missing": a.file("missing"), "foreign": foreign, "script": "/no/such/interpreter", "plain": plain} {
			s := a.awaitState(name, api.Failed)
			require.Equal(t, api.CauseExec, s.LastExit.Cause, name)
			require.Contains(t, s.Reason, want)
			require.Zero(t, s.Restarts)
		}
		require.Equal(t, []string{"missing"}, a.awaitState("after", api.Waiting).WaitingFor)
		chain, err := a.client.Why(a.context(), "after")
		require.NoError(t, err)
		require.Len(t, chain, 2)
		require.Equal(t, []string{"after", "missing"}, []string{chain[0].Service, chain[1].Service})
		require.Contains(t, chain[1].Next, "sourcegraph start missing")
		require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\nexec sleep 300\n"), 0o755))
		_, err = a.client.Start(a.context(), []string{"script"})
		require.NoError(t, err)
		a.awaitReady("script")
	})
}

func TestE35TakenPortNamesItsHolder(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	t.Run("of the door", func(t *testing.T) {
		a := newAppliance(t)
		a.address = l.Addr().String()
		require.Equal(t, 6, a.run().code())
		require.Contains(t, a.out.String(), itoa(os.Getpid()))
	})
	t.Run("of a service", func(t *testing.T) {
		a := newAppliance(t)
		a.service("web", "http", "ports: {http: "+portOf(l.Addr().String())+"}\n")
		require.Equal(t, 6, a.run().code())
		require.Contains(t, a.out.String(), itoa(os.Getpid()))
		a.noOneIsLeft()
	})
}

func TestReadOnlyDataDirectoryIsRefused(t *testing.T) {
	t.Run("ordinary user", func(t *testing.T) {
		t.Parallel()
		a := newAppliance(t).asUser(65534)
		require.NoError(t, os.Mkdir(a.data, 0o755)) // root's
		a.service("idle", "idle", "")
		require.Equal(t, 2, a.run().code())
		require.Contains(t, a.out.String(), a.data)
		a.noOneIsLeft()
	})
	t.Run("read-only mount", func(t *testing.T) {
		needRoot(t, "mount a file system read-only")
		t.Parallel()
		a := newAppliance(t)
		require.NoError(t, os.Mkdir(a.data, 0o755))
		command(t, "mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", a.data)
		t.Cleanup(func() { _ = syscall.Unmount(a.data, syscall.MNT_DETACH) })
		a.service("idle", "idle", "")
		require.Equal(t, 2, a.run().code())
		require.Contains(t, a.out.String(), "read-only")
		a.noOneIsLeft()
	})
}

func TestE68SecondInstanceNamesTheFirst(t *testing.T) {
	eachUser(t, func(t *testing.T, a *appliance) {
		a.service("idle", "idle", "")
		a.run().awaitReady("idle")
		first, cmd, ended := a.find("idle").PID, a.cmd, a.ended
		a.address = freeAddress(t)
		require.Equal(t, 6, a.run().code())
		require.Contains(t, a.out.String(), itoa(cmd.Process.Pid))
		require.Equal(t, first, a.find("idle").PID)
		a.cmd, a.ended = cmd, ended
		require.Equal(t, 0, a.term())
	})
}

func TestDropInDirectoryOfNobodyIsFine(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	require.NoError(t, os.Remove(filepath.Join(a.base, "services.d")))
	a.run()
	a.until("the door answers", func() bool { return a.doorAnswers() == nil })
	require.Equal(t, 0, a.term())
}
