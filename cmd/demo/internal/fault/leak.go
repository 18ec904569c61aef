package fault

import (
	"context"
	"runtime"
	"time"
)

// leakMax ends a leak that nothing else ends, so that a forgotten service cannot take the machine along.
const leakMax = 4 << 30

// leak keeps and touches memory in steps of a tenth of a second, until ctx ends.
func (f *Fault) leak(ctx context.Context) {
	step := int(f.leakMB * (1 << 20) / 10)
	var kept [][]byte
	for total := 0; total < leakMax && wait(ctx, time.Second/10) == nil; total += step {
		block := make([]byte, step)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1 // a page counts only once it is written
		}
		kept = append(kept, block)
	}
	<-ctx.Done()
	runtime.KeepAlive(kept)
}
