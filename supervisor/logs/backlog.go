package logs

import (
	"bytes"
	"fmt"
	"time"
)

// backlogSize bounds the lines of one service that wait in memory for a disk, beside what its pipe holds.
const backlogSize = 256 << 10

// backlog holds lines that could not be written. It is allocated when it is needed.
type backlog struct {
	lines []byte
	lost  loss // dropped before lines
}

// loss is what had to be dropped: lines, and their bytes as the service wrote them.
type loss struct {
	lines, bytes int64
}

func (l *loss) add(lines []byte) {
	n, size := textBytes(lines)
	l.lines += int64(n)
	l.bytes += int64(size)
}

func (b *backlog) empty() bool { return len(b.lines) == 0 && b.lost.lines == 0 }

// push takes lines, dropping the oldest where there are too many, and returns what it dropped.
func (b *backlog) push(lines []byte) (dropped loss) {
	if b.lines == nil {
		b.lines = make([]byte, 0, backlogSize)
	}
	if over := len(b.lines) + len(lines) - backlogSize; over > 0 {
		n := lineEnd(b.lines, max(over, backlogSize/8)) // some at a time, as the rest has to be moved
		dropped.add(b.lines[:n])
		b.lines = b.lines[:copy(b.lines, b.lines[n:])]
	}
	if over := len(lines) - backlogSize; over > 0 {
		n := lineEnd(lines, over)
		dropped.add(lines[:n])
		lines = lines[n:]
	}
	b.lines = append(b.lines, lines...)
	b.lost.lines += dropped.lines
	b.lost.bytes += dropped.bytes
	return dropped
}

// take empties the backlog: what to write, with the line that tells of the loss in front.
func (b *backlog) take(now time.Time, run uint64, why error) (lines []byte, lost loss) {
	lost = b.lost
	lines = b.lines
	if lost.lines > 0 {
		note := appendPrefix(nil, now, run, flagOurs)
		note = fmt.Appendf(note, "%d lines, %d bytes dropped", lost.lines, lost.bytes)
		if why != nil {
			note = fmt.Appendf(note, ": %v", why)
		}
		lines = append(append(note, '\n'), lines...)
	}
	*b = backlog{}
	return lines, lost
}

// lineEnd is the end of the line that holds byte n-1, or all.
func lineEnd(lines []byte, n int) int {
	if n >= len(lines) {
		return len(lines)
	}
	i := bytes.IndexByte(lines[n-1:], '\n')
	if i < 0 {
		return len(lines)
	}
	return n + i
}
