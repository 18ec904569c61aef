package supervisor

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStalledTerminalNeverBlocks: nobody reads the appliance's own output; writing it goes on, and what was lost is counted.
func TestStalledTerminalNeverBlocks(t *testing.T) {
	r, w := io.Pipe()
	p := newPatientWriter(w)
	const lines = 3 * maxQueued
	for i := range lines {
		n, err := fmt.Fprintf(p, "line %d\n", i)
		require.NoError(t, err)
		require.Positive(t, n)
	}
	go p.finish(30 * time.Second)
	buf := make([]byte, 64)
	n, err := r.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "line 0\n", string(buf[:n]))
	n, err = r.Read(buf)
	require.NoError(t, err)
	require.Regexp(t, `^\d+ lines were dropped here: nobody read them\n$`, string(buf[:n]))
}
