package api

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const nobody = 65534

// TestMain is also another user's process: it asks, and prints how it was answered.
func TestMain(m *testing.M) {
	if socket := os.Getenv("TEST_ASK"); socket != "" {
		ask(socket)
		return
	}
	os.Exit(m.Run())
}

// asked is what another user was answered: exit codes, 0 for success.
type asked struct {
	Status, Stop, ExecSpec, Config, Shutdown, Events int
	SetupURL                                         string
}

func ask(socket string) {
	ctx, c := context.Background(), Dial(socket, "other")
	code := func(err error) int {
		if err == nil {
			return 0
		}
		return AsError(err).Code
	}
	var a asked
	st, err := c.Status(ctx, nil)
	a.Status, a.SetupURL = code(err), st.Appliance.SetupURL
	_, err = c.Stop(ctx, nil)
	a.Stop = code(err)
	_, err = c.ExecSpec(ctx, "postgres")
	a.ExecSpec = code(err)
	_, err = c.Config(ctx)
	a.Config = code(err)
	a.Shutdown = code(c.Shutdown(ctx))
	for _, err := range c.Events(ctx, EventQuery{}) {
		a.Events = code(err)
	}
	_ = json.NewEncoder(os.Stdout).Encode(a) // the test misses it
}

// askAs asks as uid nobody with these groups, through a socket of this mode and group.
func askAs(t *testing.T, mode os.FileMode, group int, cred syscall.Credential) (asked, *fake) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can ask as another user")
	}
	dir, err := os.MkdirTemp("", "api") // t.TempDir is 0700 above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	program := filepath.Join(dir, "ask") // the test binary lies where others cannot look
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(program, self, 0o755))

	l, err := Listen(filepath.Join(dir, "admin.sock"))
	require.NoError(t, err)
	require.NoError(t, os.Chown(l.Addr().String(), -1, group))
	require.NoError(t, os.Chmod(l.Addr().String(), mode))
	f := &fake{}
	serveOn(t, l, f)
	cmd := exec.Command(program)
	cmd.Dir, cmd.Env, cmd.Stderr = "/", []string{"TEST_ASK=" + l.Addr().String()}, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &cred}
	out, err := cmd.Output()
	require.NoError(t, err)
	var a asked
	require.NoError(t, json.Unmarshal(out, &a))
	return a, f
}

func TestStrangerIsRefusedEvenIfTheSocketIsOpen(t *testing.T) {
	a, f := askAs(t, 0o666, 12321, syscall.Credential{Uid: nobody, Gid: nobody})
	require.Equal(t, asked{6, 6, 6, 6, 6, 6, ""}, a)
	calls, _ := f.noted()
	require.Empty(t, calls)
}

func TestStrangerCannotOpenTheSocket(t *testing.T) {
	a, _ := askAs(t, 0o600, 0, syscall.Credential{Uid: nobody, Gid: nobody})
	require.Equal(t, asked{6, 6, 6, 6, 6, 6, ""}, a, "refused, not: nobody there")
}

func TestMembersOfTheGroupRead(t *testing.T) {
	for name, cred := range map[string]syscall.Credential{
		"primary group":       {Uid: nobody, Gid: 12321},
		"supplementary group": {Uid: nobody, Gid: nobody, Groups: []uint32{7, 12321}},
		"of many groups":      {Uid: nobody, Gid: nobody, Groups: append(many(300), 12321)},
	} {
		t.Run(name, func(t *testing.T) {
			a, f := askAs(t, 0o660, 12321, cred)
			require.Equal(t, asked{Stop: 6, ExecSpec: 6, Shutdown: 6}, a, "reads; sees no setup URL; changes nothing")
			calls, _ := f.noted()
			require.Empty(t, calls)
		})
	}
}

func many(n int) (groups []uint32) {
	for i := range n {
		groups = append(groups, uint32(20000+i))
	}
	return groups
}

func TestSocketIsPrivateUnlessItHasAGroup(t *testing.T) {
	path := serve(t, &fake{})
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Contains(t, []os.FileMode{0o600, 0o660}, info.Mode().Perm(), "0660 only where the group %s exists", Group)
	require.NoError(t, os.Chmod(path, 0o600))
	require.Equal(t, -1, readersOf(path))
	require.NoError(t, os.Chmod(path, 0o660))
	require.Equal(t, os.Getgid(), readersOf(path))
	require.Equal(t, -1, readersOf(path+".missing"))
}
