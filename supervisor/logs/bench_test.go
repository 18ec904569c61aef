package logs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkFormat is the work for one block, without any system call.
func BenchmarkFormat(b *testing.B) {
	var data []byte
	for i := range pipeSize / 120 {
		data = appendLine(data, i)
	}
	out := make([]byte, 0, outSize)
	r := NewRedactor("correct horse battery")
	var p prefix
	p.at(time.Now(), 1)
	b.Run("redact", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if len(r.find(data, nil)) != 0 {
				b.Fatal("found a secret")
			}
		}
	})
	b.Run("stamp", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			format(out, data, &p, nil, maxLine, false)
		}
	})
}

const benchLines = 5_000_000 // 600 MB

func role(name string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "TEST_ROLE="+name), env...)
	cmd.Stderr = os.Stderr
	return cmd
}

// BenchmarkThroughput carries one service's 120-byte lines to rotated files: through ours, s6-log and a plain copy.
func BenchmarkThroughput(b *testing.B) {
	peers := map[string]func(dir string) *exec.Cmd{
		"ours": func(dir string) *exec.Cmd {
			return role("pump", "TEST_DIR="+dir, "TEST_PIPES=1", "TEST_MAX_SIZE="+strconv.Itoa(16<<20), "TEST_KEEP=4")
		},
		"s6-log": func(dir string) *exec.Cmd { return exec.Command("s6-log", "-d3", "t", "s16000000", "n4", dir) },
		"copy":   func(dir string) *exec.Cmd { return exec.Command("cat") },
	}
	for _, name := range []string{"ours", "s6-log", "copy"} {
		b.Run(name, func(b *testing.B) {
			if name == "s6-log" {
				needS6(b)
			}
			b.SetBytes(benchLines * 120)
			var used time.Duration
			for b.Loop() {
				used += carry(b, name, peers[name](filepath.Join(benchDir(b), name)))
			}
			b.ReportMetric(used.Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}

func needS6(b *testing.B) {
	if _, err := exec.LookPath("s6-log"); err != nil {
		b.Skip("s6-log is not installed: apt-get install s6")
	}
}

// benchDir is on a tmpfs where there is one, so that the disk does not decide.
func benchDir(b *testing.B) string {
	dir, err := os.MkdirTemp("/dev/shm", "logs")
	if err != nil {
		return b.TempDir()
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// carry runs the peer on a spout until everything has arrived, and returns the CPU time that the peer took.
func carry(b *testing.B, name string, peer *exec.Cmd) time.Duration {
	r, w, err := NewPipe(os.Geteuid(), os.Getegid())
	require.NoError(b, err)
	spout := role("spout", "TEST_LINES="+strconv.Itoa(benchLines))
	spout.Stdout = w
	var tell *os.File
	if name == "ours" {
		in, out, err := os.Pipe()
		require.NoError(b, err)
		peer.Stdin, peer.ExtraFiles, tell = in, []*os.File{r}, out
		defer in.Close()
	} else {
		peer.Stdin = r
		if name == "copy" {
			f, err := os.Create(filepath.Join(benchDir(b), "copy"))
			require.NoError(b, err)
			defer f.Close()
			peer.Stdout = f
		} else {
			null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
			require.NoError(b, err)
			defer null.Close()
			peer.ExtraFiles = []*os.File{null}
		}
	}
	require.NoError(b, peer.Start())
	require.NoError(b, spout.Run())
	w.Close()
	if tell != nil {
		tell.Close() // closes its pumps, which carries the last lines
	}
	require.NoError(b, peer.Wait())
	r.Close()
	return peer.ProcessState.UserTime() + peer.ProcessState.SystemTime()
}

// BenchmarkThirtyServices is the CPU that 30 services with 1000 lines a second each cost.
func BenchmarkThirtyServices(b *testing.B) {
	const services, seconds = 30, 5
	b.Run("ours", func(b *testing.B) {
		var used time.Duration
		for b.Loop() {
			rs, ws := pipes(b, services)
			peer := role("pump", "TEST_DIR="+benchDir(b), "TEST_PIPES="+strconv.Itoa(services), "TEST_MAX_SIZE=1000000", "TEST_KEEP=4")
			in, err := peer.StdinPipe()
			require.NoError(b, err)
			peer.ExtraFiles = rs
			require.NoError(b, peer.Start())
			tick(b, ws, seconds)
			in.Close()
			require.NoError(b, peer.Wait())
			used += peer.ProcessState.UserTime() + peer.ProcessState.SystemTime()
		}
		b.ReportMetric(100*used.Seconds()/float64(b.N)/seconds, "%cpu")
	})
	b.Run("s6-log", func(b *testing.B) {
		needS6(b)
		var used time.Duration
		for b.Loop() {
			rs, ws := pipes(b, services)
			dir := benchDir(b)
			var peers []*exec.Cmd
			for i, r := range rs {
				peer := exec.Command("s6-log", "t", "s1000000", "n4", filepath.Join(dir, fmt.Sprint(i)))
				peer.Stdin = r
				require.NoError(b, peer.Start())
				peers = append(peers, peer)
			}
			tick(b, ws, seconds)
			for _, peer := range peers {
				require.NoError(b, peer.Wait())
				used += peer.ProcessState.UserTime() + peer.ProcessState.SystemTime()
			}
		}
		b.ReportMetric(100*used.Seconds()/float64(b.N)/seconds, "%cpu")
	})
}

func pipes(tb testing.TB, n int) (rs, ws []*os.File) {
	for range n {
		r, w, err := NewPipe(os.Geteuid(), os.Getegid())
		require.NoError(tb, err)
		tb.Cleanup(func() { r.Close(); w.Close() })
		rs, ws = append(rs, r), append(ws, w)
	}
	return rs, ws
}

func tick(b *testing.B, ws []*os.File, seconds int) {
	t := role("ticker", "TEST_PIPES="+strconv.Itoa(len(ws)), "TEST_LINES="+strconv.Itoa(1000*seconds))
	t.ExtraFiles = ws
	t.SysProcAttr = &syscall.SysProcAttr{}
	require.NoError(b, t.Run())
	for _, w := range ws {
		w.Close()
	}
}
