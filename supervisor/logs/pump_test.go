package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fixture is one service's pump and the end that the service writes to.
type fixture struct {
	*Pump
	k   *Pumps
	w   *os.File
	dir string
}

func start(t *testing.T, o Options) *fixture {
	k, err := NewPumps()
	require.NoError(t, err)
	t.Cleanup(func() { _ = k.Close() })
	r, w, err := NewPipe(os.Geteuid(), os.Getegid())
	require.NoError(t, err)
	t.Cleanup(func() { w.Close() })
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	p, err := k.Start("svc", r, 3, o)
	require.NoError(t, err)
	return &fixture{p, k, w, filepath.Join(o.Dir, "svc")}
}

func (f *fixture) print(t *testing.T, s string) {
	_, err := f.w.WriteString(s)
	require.NoError(t, err)
	require.NoError(t, f.Drain(t.Context()))
}

// current is the texts of the current file's lines, behind run number and flag.
func current(t *testing.T, dir string) (lines []string) {
	data, err := os.ReadFile(filepath.Join(dir, currentName))
	require.NoError(t, err)
	for line := range bytes.Lines(data) {
		require.Greater(t, len(line), stampLen+1)
		lines = append(lines, string(line[stampLen+1:len(line)-1]))
	}
	return lines
}

func TestLinesArriveInOrderWithTimeAndRun(t *testing.T) {
	f := start(t, Options{})
	f.print(t, "one\ntwo\n")
	f.print(t, "half ")
	require.Equal(t, []string{"3 one", "3 two", "3 half "}, current(t, f.dir))
	require.Equal(t, []string{"two", "half "}, f.Tail(2))
	s := f.Stats()
	require.EqualValues(t, 3, s.Lines)
	require.EqualValues(t, 13, s.Bytes)
	require.NoError(t, s.LastError)
}

// TestLinesKeepTheNumberOfTheirRun: those that the run before left in the pipe, and its last words without an end.
func TestLinesKeepTheNumberOfTheirRun(t *testing.T) {
	f := start(t, Options{})
	turn := <-f.k.turns // nobody reads the pipe
	for _, run := range []uint64{4, 5, 6} {
		_, err := fmt.Fprintf(f.w, "whole %d\nlast words of %d", run-1, run-1)
		require.NoError(t, err)
		f.Begin(run)
	}
	f.k.turns <- turn
	f.print(t, "first of 6\n")
	require.Equal(t, []string{"3 whole 3", "3 last words of 3", "4 whole 4", "4 last words of 4", "5 whole 5", "5 last words of 5", "6 first of 6"}, current(t, f.dir))
}

// TestFullPipeIsCarriedInSeveralLooks: each shows half of it, and its end is the end of the last one alone.
func TestFullPipeIsCarriedInSeveralLooks(t *testing.T) {
	const lines = pipeSize * 4 / 5 / 120
	text := strings.Repeat(strings.Repeat("x", 119)+"\n", lines)
	for name, end := range map[string]func(*fixture) error{
		"drained":           func(f *fixture) error { return f.Drain(t.Context()) },
		"its writer ends":   func(f *fixture) error { return f.w.Close() },
		"closed whole only": func(f *fixture) error { return f.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, Options{})
			turn := <-f.k.turns // nobody reads the pipe
			_, err := f.w.WriteString(text + "last words")
			require.NoError(t, err)
			want := lines + 1
			if name == "closed whole only" {
				want = lines
			}
			f.k.turns <- turn
			require.NoError(t, end(f))
			require.Eventually(t, func() bool { return f.Stats().Lines >= uint64(want) }, 10*time.Second, time.Millisecond)
			got := current(t, f.dir)
			require.Len(t, got, want)
			for _, l := range got[:lines] {
				require.Len(t, l, len("3 ")+119)
			}
			require.Equal(t, want > lines, got[want-1] == "3 last words")
		})
	}
}
