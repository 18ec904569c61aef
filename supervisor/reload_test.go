package supervisor_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// TestReloadStopsRestartsAndStarts what the new configuration says, and touches nothing else.
func TestReloadStopsRestartsAndStarts(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	for _, name := range []string{"gone", "same", "other"} {
		a.service(name, "idle", "")
	}
	a.run().awaitReady("gone", "same", "other")
	same := a.find("same")
	require.NoError(t, os.Remove(a.file("services.d/gone.yaml")))
	a.service("other", "idle", "", "NEW=1")
	a.service("fresh", "idle", "")
	change, err := a.client.Reload(a.context())
	require.NoError(t, err)
	require.Equal(t, []string{"same"}, change.Unchanged)
	require.Equal(t, []string{"other"}, change.Restarted)
	require.Equal(t, []string{"gone"}, change.Stopped)
	a.awaitReady("fresh", "other")
	require.Equal(t, same.PID, a.find("same").PID)
	require.Nil(t, a.find("gone"))
	require.Len(t, a.roles(), 3)
}

// TestReloadRestartsServiceByService: what uses another service is back before that one goes; what only gets another name is back before both.
func TestReloadRestartsServiceByService(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	services := func(replicas string, env ...string) {
		a.service("base", "idle", "", env...)
		a.service("user", "idle", "needs: [base]\n", env...)
		a.service("shard", "idle", "replicas: "+replicas+"\n")
	}
	services("1")
	a.run().awaitReady("base", "user", "shard")
	services("2", "NEW=1")
	change, err := a.client.Reload(a.context())
	require.NoError(t, err)
	require.Equal(t, []string{"base", "user"}, change.Restarted)
	shard := a.await("shard", "has got its number", func(s *api.Service) bool { return s.State == api.Ready && s.Replicas == 2 && s.Instance == 0 })
	base, user := a.awaitState("base", api.Ready), a.awaitState("user", api.Ready)
	require.EqualValues(t, 2, base.Run)
	require.EqualValues(t, 2, user.Run)
	require.True(t, shard.Since.Before(user.Since.Time), "%s is not before %s", shard.Since, user.Since)
	require.True(t, user.Since.Before(base.Since.Time), "%s is not before %s", user.Since, base.Since)
}

// TestE54EditedConfigurationWaitsForReload: a new stage 1 goes on with the accepted plan; what left the configuration is stopped by the
// reload, not forgotten, and what changed in it is restarted by the reload.
func TestE54EditedConfigurationWaitsForReload(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.service("gone", "idle", "")
	a.service("kept", "idle", "")
	a.run().awaitReady("gone", "kept")
	gone, kept := a.find("gone"), a.find("kept")
	require.NoError(t, os.Remove(a.file("services.d/gone.yaml")))
	a.service("kept", "idle", "", "NEW=1")
	supervisor := a.stage1(0)
	a.kill(supervisor, syscall.SIGKILL)
	a.stage1(supervisor)
	require.Equal(t, gone.PID, a.awaitState("gone", api.Ready).PID)
	require.Equal(t, kept.PID, a.awaitState("kept", api.Ready).PID)
	change, err := a.client.Reload(a.context())
	require.NoError(t, err)
	require.Equal(t, []string{"gone"}, change.Stopped)
	require.Equal(t, []string{"kept"}, change.Restarted)
	require.NotContains(t, a.roles(), gone.PID)
	a.awaitNextRun("kept", kept.Run)
}

// TestReloadDoesNotUndoAnOperatorsStop, nor claims to: it holds until an operator's start, which runs the new definition.
func TestReloadDoesNotUndoAnOperatorsStop(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.service("stopped", "idle", "")
	a.service("running", "idle", "")
	a.run().awaitReady("stopped", "running")
	_, err := a.client.Stop(a.context(), []string{"stopped"})
	require.NoError(t, err)
	a.service("stopped", "idle", "", "NEW=1")
	a.service("running", "idle", "", "NEW=1")
	change, err := a.client.Reload(a.context())
	require.NoError(t, err)
	require.Equal(t, []string{"running"}, change.Restarted)
	require.Equal(t, []string{"stopped"}, change.Unchanged)
	a.awaitNextRun("running", 1) // told after the other was
	s := a.find("stopped")
	require.Equal(t, api.Stopped, s.State)
	require.EqualValues(t, 1, s.Run)
	_, err = a.client.Start(a.context(), []string{"stopped"})
	require.NoError(t, err)
	environ, err := os.ReadFile("/proc/" + itoa(a.awaitState("stopped", api.Ready).PID) + "/environ")
	require.NoError(t, err)
	require.Contains(t, string(environ), "NEW=1\x00")
}

// awaitConfig waits for what is said of the configuration on disk.
func (a *appliance) awaitConfig(state string) (c api.Config) {
	a.t.Helper()
	a.until("the configuration is "+state, func() bool {
		if st := a.status(); st != nil {
			c = st.Appliance.Config
		}
		return c.State == state
	}, func() any { return c })
	return c
}

// TestChangeOnDiskIsSeenHeldAndApplied: shown and not applied; an invalid one is named while the old runs; with auto_apply it is applied by
// itself, but not a file that is empty for a moment.
func TestChangeOnDiskIsSeenHeldAndApplied(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	const before = "a: {command: [/bin/sleep, \"1000\"]}\n"
	write := func(text string) { a.dropIn("test", text) }
	write(before)
	a.run().awaitReady("a")
	first := a.find("a").PID
	a.awaitConfig(api.ConfigApplied)
	write("a: {command: [/bin/sleep, \"2000\"]}\nb: {command: [/bin/sleep, \"1000\"]}\n")
	c := a.awaitConfig(api.ConfigChanged)
	require.Equal(t, []string{"a"}, c.Restart)
	require.Equal(t, []string{"b"}, c.Start)
	require.Equal(t, first, a.find("a").PID)
	write("a: {comand: [/bin/sleep]}\n")
	require.Contains(t, a.awaitConfig(api.ConfigInvalid).Fault, `unknown key "comand"`)
	require.Equal(t, first, a.find("a").PID)
	write(before)
	a.awaitConfig(api.ConfigApplied)

	a.configure("auto_apply: true\n")
	require.Equal(t, []string{"auto_apply"}, a.awaitConfig(api.ConfigChanged).Setting)
	_, err := a.client.Reload(a.context())
	require.NoError(t, err)
	write("")
	require.Contains(t, a.awaitConfig(api.ConfigChanged).Fault, "services.d/test.yaml has lost its whole content")
	require.Equal(t, first, a.find("a").PID, "a file that is empty for a moment stops nothing")
	write(before + "b: {command: [/bin/sleep, \"1000\"]}\n")
	a.awaitReady("b")
	a.awaitConfig(api.ConfigApplied)
	require.Equal(t, first, a.find("a").PID)
}

// sleeper is a service that runs for so many seconds, with enough beside it to be written in two halves.
func sleeper(seconds int) string {
	return fmt.Sprintf("a:\n  command: [/bin/sleep, \"%d\"]\n  env: {A: b}\nb: {command: [/bin/sleep, \"1000\"]}\n", seconds)
}

// TestEverySaveOfAnEditorIsOneChange: with auto_apply, however many steps it takes, and two quick edits together; no half is ever applied.
func TestEverySaveOfAnEditorIsOneChange(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	a.configure("auto_apply: true\n")
	a.dropIn("test", sleeper(1000))
	a.run().awaitReady("a", "b")
	untouched := a.find("b").PID
	file := a.file("services.d/test.yaml")
	write := func(path, text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o644)) }
	seconds := 1000
	for name, save := range map[string]func(text string){
		"truncated and written in halves": func(text string) {
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
			require.NoError(t, err)
			defer f.Close()
			for _, half := range []string{text[:len(text)/2], text[len(text)/2:]} {
				_, err := f.WriteString(half)
				require.NoError(t, err)
				require.NoError(t, f.Sync())
			}
		},
		"written beside and renamed": func(text string) {
			write(file+".new", text)
			require.NoError(t, os.Rename(file+".new", file))
		},
		"moved away, written, the old one removed, with a swap file": func(text string) {
			swap := a.file("services.d/.test.yaml.swp")
			write(swap, "\x00")
			require.NoError(t, os.Rename(file, file+"~"))
			write(file, text)
			require.NoError(t, os.Remove(file+"~"))
			require.NoError(t, os.Remove(swap))
		},
		"invalid, empty, and then whole": func(text string) {
			write(file, "a: {comand: [/bin/sleep]}\n")
			write(file, "")
			write(file, text)
		},
		"two quick edits": func(text string) {
			write(file, sleeper(1))
			write(file, text)
		},
	} {
		t.Run(name, func(t *testing.T) {
			old, reloads := a.find("a"), a.reloads()
			seconds++
			save(sleeper(seconds))
			now := a.await("a", "runs as the file says", func(svc *api.Service) bool { return svc.State == api.Ready && svc.Run > old.Run })
			a.awaitConfig(api.ConfigApplied)
			require.Equal(t, old.Run+1, now.Run)
			require.Equal(t, reloads+1, a.reloads())
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", now.PID))
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("/bin/sleep\x00%d\x00", seconds), string(line))
		})
	}
	require.Equal(t, untouched, a.find("b").PID)
}

// reloads counts how often a changed configuration was applied.
func (a *appliance) reloads() (n int) {
	a.t.Helper()
	for _, e := range a.events() {
		if e.Kind == "command" && e.Message == "reload" {
			n++
		}
	}
	return n
}

// TestSurplusStopsAfterItsUsersHaveTheShorterList: nobody asks an instance that is gone, though a user is slower to end than a reload's patience.
func TestSurplusStopsAfterItsUsersHaveTheShorterList(t *testing.T) {
	t.Parallel()
	const two = `
shard: {command: [/bin/sleep, "1000"], replicas: %d, ports: {http: 0}}
user: {command: [/bin/sh, -c, "%sexec sleep 1000"], needs: [shard], env: {SHARDS: '{{ .Peer "shard" "http" }}'}, stop: {grace: 6s}}
`
	for name, tc := range map[string]struct {
		from, to int
		deaf     string
	}{
		"a slow user":          {3, 2, "trap '' TERM; "},
		"also what is renamed": {2, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAppliance(t)
			a.dropIn("two", fmt.Sprintf(two, tc.from, tc.deaf))
			a.run().awaitReady("user")
			a.dropIn("two", fmt.Sprintf(two, tc.to, tc.deaf))
			change, err := a.client.Reload(a.context())
			require.NoError(t, err)
			surplus := fmt.Sprintf("shard/%d", tc.from-1)
			require.Contains(t, change.Stopped, surplus)
			user := a.awaitState("user", api.Ready)
			require.EqualValues(t, 2, user.Run)
			require.Nil(t, a.find(surplus))
			for _, ev := range a.events() {
				if ev.Service == surplus && ev.To == api.Stopping { // in whole milliseconds
					require.False(t, user.Since.After(ev.At.Time), "%s stopped at %s, before its user was there again at %s", surplus, ev.At, user.Since)
					return
				}
			}
			t.Fatalf("%s was never stopped", surplus)
		})
	}
}

// TestAnOperatorsStopFollowsTheReplica: to its other name, and to new replicas of a service that was stopped whole.
func TestAnOperatorsStopFollowsTheReplica(t *testing.T) {
	t.Parallel()
	a := newAppliance(t)
	reload := func(replicas int) api.Change {
		a.service("shard", "idle", fmt.Sprintf("replicas: %d\n", replicas))
		change, err := a.client.Reload(a.context())
		require.NoError(t, err)
		return change
	}
	start := func(name string) {
		_, err := a.client.Start(a.context(), []string{name})
		require.NoError(t, err)
	}
	a.service("shard", "idle", "")
	a.run().awaitReady("shard")
	_, err := a.client.Stop(a.context(), []string{"shard"})
	require.NoError(t, err)
	awaitStopped := func(name string) {
		s := a.awaitState(name, api.Stopped)
		require.False(t, s.Wanted)
		require.NotEmpty(t, s.StoppedBy)
	}

	require.Empty(t, reload(2).Started)
	awaitStopped("shard/0")
	awaitStopped("shard/1")
	start("shard/1")
	require.Equal(t, []string{"shard/2"}, reload(3).Started)
	awaitStopped("shard/0")
	a.awaitReady("shard/2")
	require.Empty(t, reload(1).Started)
	awaitStopped("shard")
	start("shard")
	require.Equal(t, []string{"shard/0", "shard/1"}, reload(2).Started)
}
