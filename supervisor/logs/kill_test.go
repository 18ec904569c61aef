package logs

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sourcegraph/appliance/supervisor/api"
)

// startPump starts a supervisor on r, which it inherits; stdin ends it in order.
func startPump(t *testing.T, dir string, r *os.File) (*exec.Cmd, io.Closer) {
	cmd := role("pump", "TEST_DIR="+dir, "TEST_PIPES=1", "TEST_MAX_SIZE="+strconv.Itoa(1<<20), "TEST_KEEP=10000")
	cmd.ExtraFiles = []*os.File{r}
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "pumping\n", line)
	return cmd, in
}

// TestE54NoLineIsLostOver20KillsOfTheSupervisor holds the read end, as stage 0 does, while one supervisor after another is killed.
func TestE54NoLineIsLostOver20KillsOfTheSupervisor(t *testing.T) {
	const kills, lines = 20, 1_000_000
	dir := t.TempDir()
	r, w, err := NewPipe(os.Geteuid(), os.Getegid())
	require.NoError(t, err)
	defer r.Close()
	spout := role("spout", "TEST_LINES="+strconv.Itoa(lines))
	spout.Stdout = w
	require.NoError(t, spout.Start())
	w.Close()
	current := filepath.Join(dir, dirName("svc/0"), currentName)
	for range kills {
		cmd, in := startPump(t, dir, r)
		before, _ := os.Stat(current)
		require.Eventually(t, func() bool { // it has written something
			now, err := os.Stat(current)
			return err == nil && (before == nil || !os.SameFile(before, now) || now.Size() != before.Size()) || waiting(fdOf(t, r)) == 0
		}, 30*time.Second, time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		in.Close()
	}
	cmd, in := startPump(t, dir, r)
	require.NoError(t, spout.Wait())
	in.Close()
	require.NoError(t, cmd.Wait())

	want, repeats := 0, 0
	for l, err := range Query(t.Context(), dir, api.LogQuery{}) {
		require.NoError(t, err)
		require.Len(t, l.Text, 119)
		n, err := strconv.Atoi(l.Text[:10])
		require.NoError(t, err)
		require.LessOrEqual(t, n, want, "lines %d to %d are missing", want, n-1)
		if n < want {
			repeats++
		}
		want = max(want, n+1)
	}
	require.Equal(t, lines, want)
	t.Logf("%d lines, %d of them repeated, over %d kills", lines, repeats, kills)
}

func fdOf(t *testing.T, f *os.File) int {
	fd, err := rawFD(f)
	require.NoError(t, err)
	return fd
}

func TestHalfWrittenBlockIsTakenBack(t *testing.T) {
	dir := t.TempDir()
	f := &file{dir: dir, maxSize: 1 << 20, keep: 1, packer: newPacker(func(dir string, err error) { t.Error(dir, err) })}
	now := time.Now()
	require.NoError(t, f.append([]byte("one\n"), now))
	require.NoError(t, f.promise(8, 1)) // killed after four of them
	_, err := f.f.Write([]byte("two\n"))
	require.NoError(t, err)
	f.close()
	require.NoError(t, f.append([]byte("three\n"), now))
	f.close()
	data, err := os.ReadFile(filepath.Join(dir, currentName))
	require.NoError(t, err)
	require.Equal(t, "one\nthree\n", string(data))
}

func TestE44GrandchildHoldsThePipe(t *testing.T) {
	f := start(t, Options{})
	cmd := exec.Command("sh", "-c", "echo from the service; (read line; echo from the grandchild) <&3 & exit 0")
	block, release, err := os.Pipe()
	require.NoError(t, err)
	defer block.Close()
	cmd.Stdout, cmd.ExtraFiles = f.w, []*os.File{block}
	require.NoError(t, cmd.Run())
	require.NoError(t, f.Drain(t.Context()))
	require.Equal(t, []string{"from the service"}, f.Tail(5))
	lines := make(chan string, 1)
	f.Watch(mustCompile("grandchild"), func(line string) { lines <- line })
	_, err = fmt.Fprintln(release)
	require.NoError(t, err)
	release.Close()
	require.Equal(t, "from the grandchild", <-lines)
}

func TestE45E46FullDiskDropsCountedAndResumes(t *testing.T) {
	dir := smallDisk(t)
	f := start(t, Options{Dir: dir})
	var printed bytes.Buffer
	const lines = 20_000 // 2.4 MB on a disk of 1 MB
	for i := range lines {
		printed.Write(appendLine(nil, i))
	}
	_, err := f.w.Write(printed.Bytes()) // is not held up for ever
	require.NoError(t, err)
	require.NoError(t, f.Drain(t.Context()))
	s := f.Stats()
	require.Error(t, s.LastError)
	require.EqualValues(t, lines, s.Lines)
	require.NotZero(t, s.DroppedLines)

	old := filepath.Join(f.dir, currentName)
	kept := len(current(t, f.dir))
	require.NoError(t, os.Remove(old)) // the operator makes room
	require.Eventually(t, func() bool { return f.Stats().LastError == nil }, 30*time.Second, 10*time.Millisecond)
	s = f.Stats()
	got := current(t, f.dir)
	require.Equal(t, fmt.Sprintf("3! %d lines, %d bytes dropped: write log %s: no space left on device", s.DroppedLines, s.DroppedBytes, old), got[0])
	require.EqualValues(t, 120*s.DroppedLines, s.DroppedBytes)
	require.EqualValues(t, lines, kept+int(s.DroppedLines)+len(got)-1, "kept, dropped and late lines are all lines")
}
