package process

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkStart is fork to exec; the child's end is not in it.
func BenchmarkStart(b *testing.B) {
	b.Run("os.StartProcess", func(b *testing.B) {
		for b.Loop() {
			p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{Dir: "/", Sys: &syscall.SysProcAttr{Setsid: true}})
			require.NoError(b, err)
			b.StopTimer()
			_, err = p.Wait()
			require.NoError(b, err)
			b.StartTimer()
		}
	})
	for name, spec := range map[string]Spec{
		"plain": {Program: "/bin/true", Argv: []string{"true"}, Dir: "/", UID: NoChange, CgroupFD: -1},
		"user":  {Program: "/bin/true", Argv: []string{"true"}, Dir: "/", UID: 65534, GID: 65534, Groups: []int{MarksFirst}, CgroupFD: -1, NoFile: 4096},
		"caps":  {Program: "/bin/true", Argv: []string{"true"}, Dir: "/", UID: 65534, GID: 65534, Caps: []string{"NET_BIND_SERVICE"}, CgroupFD: -1},
	} {
		b.Run(name, func(b *testing.B) {
			s, err := NewSpawner()
			require.NoError(b, err)
			defer s.Close()
			for b.Loop() {
				p, err := s.Start(spec)
				require.NoError(b, err)
				b.StopTimer()
				_, err = p.Wait()
				require.NoError(b, err)
				require.NoError(b, p.Reap())
				b.StartTimer()
			}
		})
	}
}

// BenchmarkScan is one look at all processes of this machine.
func BenchmarkScan(b *testing.B) {
	for b.Loop() {
		_, err := Scan()
		require.NoError(b, err)
	}
}
