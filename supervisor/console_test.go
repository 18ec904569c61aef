package supervisor

import (
	"bufio"
	"fmt"
	"io"
	"strings"
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
	for out := bufio.NewScanner(r); out.Scan(); {
		if strings.HasSuffix(out.Text(), " lines were dropped here: nobody read them") {
			return
		}
	}
	t.Fatal("what was dropped is not said")
}
