package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkAppend(b *testing.B) {
	s := New(filepath.Join(b.TempDir(), "store"), young)
	s.Open()
	for i := 0; b.Loop(); i++ {
		s.Append(event(i))
	}
	require.NoError(b, s.Flush(b.Context()))
	b.ReportMetric(float64(s.Stats().Dropped)/float64(b.N), "dropped/op")
	require.NoError(b, s.Close(b.Context()))
}

// BenchmarkIdleMemory is the anonymous memory of a process that has an open store with 1000 events, less that of one without.
func BenchmarkIdleMemory(b *testing.B) {
	var with, without float64
	for b.Loop() {
		without += anonymous(b, "")
		with += anonymous(b, filepath.Join(b.TempDir(), "store"))
	}
	b.ReportMetric((with-without)/float64(b.N), "kB")
}

func anonymous(b *testing.B, dir string) float64 {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_ROLE=idle", "TEST_DIR="+dir)
	out, err := cmd.Output()
	require.NoError(b, err)
	kb, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	require.NoError(b, err)
	return kb
}

func idle() {
	if dir := os.Getenv("TEST_DIR"); dir != "" {
		s := New(dir, young)
		s.Open()
		for i := range 1000 {
			s.Append(event(i))
		}
		if err := s.Flush(context.Background()); err != nil {
			panic(err)
		}
		defer runtime.KeepAlive(s)
	}
	runtime.GC()
	f, err := os.Open("/proc/self/smaps_rollup")
	if err != nil {
		panic(err)
	}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if kb, ok := strings.CutPrefix(lines.Text(), "Anonymous:"); ok {
			fmt.Println(strings.TrimSuffix(strings.TrimSpace(kb), " kB"))
		}
	}
}
