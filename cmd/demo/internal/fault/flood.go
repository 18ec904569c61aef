package fault

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// flood writes numbered lines of 120 bytes in bursts of 10 ms. It falls behind rather than burst when the reader is slow.
func (f *Fault) flood(ctx context.Context, to io.Writer) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	out := bufio.NewWriterSize(to, 64<<10)
	began, n := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		due := int(time.Since(began).Seconds() * float64(f.logLines))
		for ; n < due; n++ {
			if _, err := out.WriteString(line(f.service, n)); err != nil {
				return
			}
		}
		if out.Flush() != nil {
			return
		}
	}
}

func line(service string, n int) string {
	s := fmt.Sprintf("level=info msg=\"demo log line\" service=%s n=%d ", service, n)
	return s + strings.Repeat("x", max(0, 119-len(s))) + "\n"
}
