package process

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// publicDir is a directory that every user can reach.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "process-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

func writeFile(t *testing.T, file, content string, mode os.FileMode) string {
	t.Helper()
	require.NoError(t, os.WriteFile(file, []byte(content), mode))
	require.NoError(t, os.Chmod(file, mode))
	return file
}

// otherArchitecture is our own program with the machine in its header changed.
func otherArchitecture(t *testing.T, file string) string {
	t.Helper()
	require.NoError(t, copyFile(programOfTests, file, 0o755))
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt(binary.LittleEndian.AppendUint16(nil, uint16(elf.EM_S390)), 18) // e_machine
	require.NoError(t, err)
	return file
}

// E23: each kind of a program that cannot run is told apart, and none of them is worth a retry.
func TestE23ProgramsThatCannotRun(t *testing.T) {
	s := newSpawner(t)
	dir := publicDir(t)
	writeFile(t, dir+"/file", "", 0o644)
	require.NoError(t, os.Mkdir(dir+"/private", 0o700))
	noLoader := dir + "/noloader"
	patchLoader(t, "/bin/true", noLoader)

	for name, tc := range map[string]struct {
		program, dir string
		step         Step
		path, detail string
		errno        error
		hint         string
	}{
		"missing":              {program: dir + "/none", step: StepExec, detail: "no such program", errno: unix.ENOENT},
		"missing directory":    {program: dir + "/none/x", step: StepExec, path: dir + "/none", detail: "no such file", errno: unix.ENOENT},
		"directory is a file":  {program: dir + "/file/x", step: StepExec, path: dir + "/file", detail: "not a directory", errno: unix.ENOTDIR},
		"not executable":       {program: dir + "/file", step: StepExec, detail: "mode 0644", errno: unix.EACCES, hint: "chmod +x " + dir + "/file"},
		"a directory":          {program: dir, step: StepExec, detail: "not a regular file", errno: unix.EACCES},
		"empty":                {program: writeFile(t, dir+"/empty", "", 0o755), step: StepExec, detail: "empty", errno: unix.ENOEXEC},
		"no #! line":           {program: writeFile(t, dir+"/text", "echo hello\n", 0o755), step: StepExec, detail: "#! line", errno: unix.ENOEXEC},
		"another architecture": {program: otherArchitecture(t, dir+"/s390"), step: StepExec, detail: "built for EM_S390", errno: unix.ENOEXEC, hint: "use the release for"},
		"damaged":              {program: writeFile(t, dir+"/damaged", elf.ELFMAG+"\x02\x01", 0o755), step: StepExec, detail: "damaged", errno: unix.ENOEXEC},
		"script's interpreter": {program: writeFile(t, dir+"/script", "#!/none/python3 -u\n", 0o755), step: StepInterpreter, path: "/none/python3", detail: dir + "/script needs is missing", errno: unix.ENOENT},
		"loader":               {program: noLoader, step: StepInterpreter, detail: "needs is missing", errno: unix.ENOENT, hint: "statically linked"},
		"no working directory": {program: "/bin/true", dir: dir + "/none", step: StepChdir, path: dir + "/none", errno: unix.ENOENT},
		"directory's a file":   {program: "/bin/true", dir: dir + "/file", step: StepChdir, path: dir + "/file", detail: "not a directory", errno: unix.ENOTDIR},
	} {
		t.Run(name, func(t *testing.T) {
			spec := Spec{Program: tc.program, Argv: []string{"x"}, Dir: "/", UID: NoChange, CgroupFD: -1}
			if tc.dir != "" {
				spec.Dir = tc.dir
			}
			_, err := s.Start(spec)
			var e *ExecError
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.step, e.Step, "%v", err)
			require.ErrorIs(t, err, tc.errno)
			require.Contains(t, e.Detail, tc.detail)
			if tc.path != "" {
				require.Equal(t, tc.path, e.Path)
			}
			require.Contains(t, e.Hint(), tc.hint)
			require.True(t, e.Permanent())
			require.Contains(t, err.Error(), tc.program)
		})
	}
}

// patchLoader copies a dynamically linked program and names another loader in it.
func patchLoader(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	file, err := elf.Open(from)
	require.NoError(t, err)
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			copy(content[p.Off:], "/none")
		}
	}
	require.NoError(t, os.WriteFile(to, content, 0o755))
}

// E23: what our root may do and the service's user may not is told apart as well.
func TestE23UserCannotReachTheProgram(t *testing.T) {
	needRoot(t)
	s := newSpawner(t)
	dir := publicDir(t)
	require.NoError(t, os.Mkdir(dir+"/private", 0o700))
	require.NoError(t, copyFile(programOfTests, dir+"/private/role", 0o755))
	spec := asUser(role("exit 0"), 65534)
	spec.Program = dir + "/private/role"
	_, err := s.Start(spec)
	var e *ExecError
	require.ErrorAs(t, err, &e)
	require.Equal(t, dir+"/private", e.Path)
	require.Contains(t, err.Error(), "mode 0700, owner 0:0) does not let uid 65534 pass")
	require.Equal(t, "chmod o+x "+dir+"/private", e.Hint())
	require.True(t, e.Permanent())

	spec = asUser(role("exit 0"), 65534)
	spec.Dir = dir + "/private"
	_, err = s.Start(spec)
	require.ErrorAs(t, err, &e)
	require.Equal(t, StepChdir, e.Step)
	require.Equal(t, dir+"/private", e.Path)
	require.ErrorIs(t, err, unix.EACCES)

	require.NotEmpty(t, Traversable(dir+"/private/role", 65534, 65534))
	require.Empty(t, Traversable(dir+"/private/role", 0, 0))
	require.Empty(t, Traversable("/bin/sh", 65534, 65534))
}

// E23's false twin: a vanished cgroup is reported by the kernel in the words for a missing binary.
func TestE23VanishedCgroupIsNotAMissingProgram(t *testing.T) {
	dir := cgroup2(t)
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	require.NoError(t, unix.Rmdir(dir))
	s := newSpawner(t)
	spec := role("exit 0")
	spec.CgroupFD = fd
	_, err = s.Start(spec)
	var e *ExecError
	require.ErrorAs(t, err, &e)
	require.Equal(t, StepCgroup, e.Step)
	require.True(t, e.CgroupGone())
	require.False(t, e.Permanent(), "a new cgroup helps")
}

// E24: a program that is still open for writing is tried again until it is not.
func TestE24TextBusy(t *testing.T) {
	s := newSpawner(t)
	file := filepath.Join(publicDir(t), "role")
	require.NoError(t, copyFile(programOfTests, file, 0o755))
	w, err := os.OpenFile(file, os.O_WRONLY, 0)
	require.NoError(t, err)
	spec := role("exit 3")
	spec.Program = file
	_, err = s.Start(spec)
	require.ErrorIs(t, err, unix.ETXTBSY)
	var e *ExecError
	require.ErrorAs(t, err, &e)
	require.False(t, e.Permanent())

	first := make(chan error, 1)
	go func() {
		p, err := s.Start(spec)
		if err == nil {
			var exit Exit
			if exit, err = p.Wait(); exit.Code != 3 {
				err = errors.Join(err, errors.New(exit.String()))
			}
			err = errors.Join(err, p.Reap())
		}
		first <- err
	}()
	require.NoError(t, w.Close())
	require.NoError(t, <-first)
}

// E25: a refused fork is passing trouble, and names the limit.
func TestE25ForkRefused(t *testing.T) {
	dir := cgroup1(t, "pids")
	require.NoError(t, os.WriteFile(dir+"/pids.max", []byte("1"), 0o644)) // the thread that forks is the one
	s := newSpawner(t)
	spec := role("exit 0")
	spec.TaskFiles, spec.HomeFiles = []string{dir + "/tasks"}, []string{homeTasks(t, "pids")}
	_, err := s.Start(spec)
	require.ErrorIs(t, err, unix.EAGAIN)
	var e *ExecError
	require.ErrorAs(t, err, &e)
	require.Equal(t, StepFork, e.Step)
	require.False(t, e.Permanent())
	require.Equal(t, "pids.max=1 of "+dir, e.Limit)
	spec.TaskFiles, spec.HomeFiles = nil, nil
	require.Equal(t, 0, start(t, s, spec).wait(t).Code, "outside of it we fork on")
}

// E26: with no descriptor left the spare ones carry one more start; the error names the limit and is not permanent.
func TestE26NoDescriptorsLeft(t *testing.T) {
	if !isInner("TestE26NoDescriptorsLeft") {
		inner(t, "", NoChange, "TestE26NoDescriptorsLeft")
		return
	}
	s := newSpawner(t)
	var lim unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &lim))
	lim.Cur = 100
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &lim))
	var hogs []int
	for {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			require.ErrorIs(t, err, unix.EMFILE)
			break
		}
		hogs = append(hogs, fd)
	}
	spec := role("exit 5")
	var alive []*Process
	var err error
	for range reserveSize {
		var p *Process
		if p, err = s.Start(spec); err != nil {
			break
		}
		alive = append(alive, p)
	}
	require.NotEmpty(t, alive, "the spare descriptors carry a start")
	var e *ExecError
	require.ErrorAs(t, err, &e)
	require.False(t, e.Permanent())
	require.Contains(t, e.Error(), "100 descriptors open")
	for _, fd := range hogs {
		require.NoError(t, unix.Close(fd))
	}
	for _, p := range alive {
		exit, err := p.Wait()
		require.NoError(t, err)
		require.Equal(t, 5, exit.Code)
		require.NoError(t, p.Reap())
	}
	require.Equal(t, 5, start(t, s, spec).wait(t).Code, "and it goes on afterwards")
}

// E28: a step that fails in the child is named, and nothing runs with more privilege than asked.
func TestE28FailingStepIsNamed(t *testing.T) {
	if !isInner("TestE28FailingStepIsNamed") {
		needRoot(t)
		inner(t, "", 65534, "TestE28FailingStepIsNamed")
		return
	}
	s := newSpawner(t)
	_, err := s.Start(asUser(role("exit 0"), 12345))
	var e *ExecError
	require.ErrorAs(t, err, &e)
	require.Equal(t, StepCredentials, e.Step)
	require.Equal(t, "12345:12345", e.Path)
	require.ErrorIs(t, err, unix.EPERM)
	require.Contains(t, e.Detail, "CAP_SETUID")
	require.True(t, e.Permanent())
}

func TestSpecIsChecked(t *testing.T) {
	s := newSpawner(t)
	_, err := s.Start(Spec{Program: "sh", Dir: ".", UID: 5, GID: -1, Caps: []string{"FLY"}, Nice: 20, OOMScoreAdj: -1001, Env: []string{"A=\x00"}})
	for _, part := range []string{`program "sh"`, "argv[0]", `directory "."`, "user 5:-1", `"FLY"`, "nice 20", "-1001", "NUL"} {
		require.ErrorContains(t, err, part)
	}
}
