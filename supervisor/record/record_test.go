package record

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func full(name string) Record {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	return Record{
		Schema: Schema, Name: name, Service: "gitserver", Run: 3, PID: 42, StartTime: 123456, BootID: "b", Cgroups: []string{"/sys/fs/cgroup/x"}, UID: 20003,
		Mark: 1879048200, EnvMark: "a.3", Hash: "h", Addresses: map[string]string{"http": "127.0.0.1:3178"}, State: "ready", Since: at, Reason: "r", ReadySince: at,
		Restarts: 2, Exits: []Exit{{At: at, Run: 2, Cause: "signal", Status: 9, Known: true, Detail: "d"}}, Backoff: &Backoff{Until: at, Cause: "exit", Count: 4},
		Failures: map[string]int{"exit": 4}, Stopped: &Stopped{By: "uid 0: stop gitserver", At: at}, PlanHash: "p",
	}
}

func open(t *testing.T) *Dir {
	t.Helper()
	d, err := Open(filepath.Join(t.TempDir(), "run[1]"))
	require.NoError(t, err)
	return d
}

func TestWhatIsWrittenIsLoaded(t *testing.T) {
	d := open(t)
	want := []Record{full("frontend"), full("gitserver/1"), full("odd ..%2F name")}
	for _, r := range want {
		require.NoError(t, d.Write(full(r.Name)))
		require.NoError(t, d.Write(r), "again, over the old one")
	}
	got, faults, err := d.Load()
	require.NoError(t, err)
	require.Empty(t, faults)
	require.Equal(t, want, got)

	require.NoError(t, d.Remove("gitserver/1"))
	require.NoError(t, d.Remove("gitserver/1"), "twice is fine")
	got, _, err = d.Load()
	require.NoError(t, err)
	require.Equal(t, []Record{want[0], want[2]}, got)
	require.ErrorContains(t, d.Write(Record{}), "no name")
}

// sealed is a file with one valid slot.
func sealed(text string) string {
	at := newPlace(len(text), 0)
	b := make([]byte, 2*at.size)
	copy(b[at.offset():], at.seal([]byte(text)))
	return string(b)
}

// A kill in the middle of a write, at whatever byte, leaves the record before it or the one after it.
func TestAnyTornWriteLeavesAWholeRecord(t *testing.T) {
	d := open(t)
	old, changed := full("frontend"), full("frontend")
	changed.Run, changed.State = 4, "stopping"
	require.NoError(t, d.Write(full("frontend")))
	require.NoError(t, d.Write(old))
	file := filepath.Join(d.path, "frontend.run")
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, d.Write(changed))
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	for n := range after {
		if before[n] == after[n] {
			continue
		}
		torn := append(append([]byte{}, after[:n]...), before[n:]...)
		_, text, err := newest(torn)
		require.NoError(t, err, "at byte %d", n)
		got, err := decode(text)
		require.NoError(t, err)
		require.Equal(t, old, got, "at byte %d", n)
	}
	got, _, err := d.Load()
	require.NoError(t, err)
	require.Equal(t, []Record{changed}, got)
}

// A new supervisor's writes win over those of the one before, and a file removed under it is made again.
func TestWritesGoOnAfterLoad(t *testing.T) {
	d := open(t)
	for run := range uint64(5) {
		r := full("frontend")
		r.Run = run
		require.NoError(t, d.Write(r))
		again, err := Open(d.path)
		require.NoError(t, err)
		got, _, err := again.Load()
		require.NoError(t, err)
		require.Equal(t, []Record{r}, got)
		d = again
	}
	require.NoError(t, os.Remove(filepath.Join(d.path, "frontend.run")))
	require.NoError(t, d.Write(full("frontend")))
	got, _, err := d.Load()
	require.NoError(t, err)
	require.Equal(t, []Record{full("frontend")}, got)
}

// E67: a corrupt or newer record is set aside and named; the others count.
func TestE67CorruptAndNewerRecords(t *testing.T) {
	d := open(t)
	require.NoError(t, d.Write(full("frontend")))
	bad := map[string]string{
		"empty.run": "", "torn.run": `{"schema":1,"name":"to`, "newer.run": sealed(`{"schema":2,"name":"newer"}`), "list.run": sealed("[]"),
		"other.run": sealed(`{"schema":1,"name":"another"}`), "zero.run": strings.Repeat("\x00", 8192),
	}
	for round := range 2 {
		for name, content := range bad {
			require.NoError(t, os.WriteFile(filepath.Join(d.path, name), []byte(content), 0o600))
		}
		require.NoError(t, syscall.Mkfifo(filepath.Join(d.path, "fifo.run"), 0o600)) // must not block
		require.NoError(t, os.Symlink("frontend.run", filepath.Join(d.path, "link.run")))
		got, faults, err := d.Load()
		require.NoError(t, err)
		require.Equal(t, []Record{full("frontend")}, got)
		require.Len(t, faults, len(bad)+2)
		for _, f := range faults {
			require.ErrorContains(t, f, "was moved to "+filepath.Join(d.path, quarantine), "round %d", round)
		}
	}
	aside, err := os.ReadDir(filepath.Join(d.path, quarantine))
	require.NoError(t, err)
	require.Len(t, aside, 2*(len(bad)+2), "none replaced another")
	_, faults, err := d.Load()
	require.NoError(t, err)
	require.Empty(t, faults)
}

func TestUnfinishedWriteIsCleared(t *testing.T) {
	d := open(t)
	require.NoError(t, d.Write(full("frontend")))
	require.NoError(t, os.WriteFile(filepath.Join(d.path, "frontend.run.new"), []byte("{"), 0o600))
	again, err := Open(d.path)
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(d.path, "frontend.run.new"))
	got, faults, err := again.Load()
	require.NoError(t, err)
	require.Empty(t, faults)
	require.Equal(t, []Record{full("frontend")}, got)
}

// E46: on a full disk the old record stays whole, the error says that memory is the better place, and memory works.
func TestE46FullDisk(t *testing.T) {
	mount := t.TempDir()
	if err := unix.Mount("tmpfs", mount, "tmpfs", 0, "size=32k,mode=700"); err != nil {
		t.Skip("needs root: mounts a small file system: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(mount, unix.MNT_DETACH) })
	d, err := Open(mount)
	require.NoError(t, err)
	old := full("frontend")
	require.NoError(t, d.Write(old))
	_ = os.WriteFile(filepath.Join(mount, "filler"), make([]byte, 1<<16), 0o600) // as much as fits

	small := old
	small.Run = 5
	require.NoError(t, d.Write(small), "what fits into its file needs no room")
	changed := old
	changed.Run, changed.Reason = 6, strings.Repeat("x", 9000)
	err = d.Write(changed)
	var e *FullError
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.Contains(t, e.Hint(), mount)
	got, faults, err := d.Load()
	require.NoError(t, err)
	require.Empty(t, faults)
	require.Equal(t, []Record{small}, got)

	f, err := changed.Memfd()
	require.NoError(t, err)
	defer f.Close()
	for range 2 {
		r, err := FromMemfd(f)
		require.NoError(t, err)
		require.Equal(t, changed, r)
	}
	_, err = f.WriteAt([]byte("x"), 0)
	require.ErrorIs(t, err, syscall.EPERM, "sealed")
}

func TestReadOnlyIsFull(t *testing.T) {
	require.True(t, isFull(&os.PathError{Err: syscall.EROFS}))
	require.False(t, isFull(&os.PathError{Err: syscall.EACCES}))
}

func TestBootID(t *testing.T) {
	id, err := BootID()
	require.NoError(t, err)
	require.Len(t, id, 36)
}

// FuzzDecode: whatever is in the file, reading it ends in a record with a name or in an error.
func FuzzDecode(f *testing.F) {
	b, err := full("frontend").encode()
	require.NoError(f, err)
	f.Add(b)
	f.Add([]byte(`{"schema":9}`))
	f.Add([]byte(sealed(string(b))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, text, err := newest(b); err == nil {
			b = text
		}
		if r, err := decode(b); err == nil {
			require.NotEmpty(t, r.Name)
			_, err = r.encode()
			require.NoError(t, err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	d, err := Open(b.TempDir())
	require.NoError(b, err)
	r := full("frontend")
	for b.Loop() {
		require.NoError(b, d.Write(r))
	}
}
