package main

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lineLength = 120     // bytes, with its newline
	burst      = 1 << 16 // bytes of one write(2)
)

// write prints count numbered lines, rate a second; rate 0 is as fast as they are taken.
func write(count, rate int) {
	filler := strings.Repeat("x", lineLength)
	buf := make([]byte, 0, burst+lineLength)
	start := time.Now()
	for i := range count {
		at := len(buf)
		buf = append(buf, "line "...)
		buf = strconv.AppendInt(buf, int64(i), 10)
		buf = append(buf, ' ')
		buf = append(buf, filler[:lineLength-1-(len(buf)-at)]...)
		buf = append(buf, '\n')
		if len(buf) >= burst || i+1 == count {
			flush(buf)
			buf = buf[:0]
		}
		if rate > 0 && i%max(1, rate/100) == 0 { // a write each 10 ms
			flush(buf)
			buf = buf[:0]
			time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
	}
}

func flush(buf []byte) {
	for len(buf) > 0 {
		n, err := unix.Write(1, buf)
		if err != nil && err != unix.EINTR {
			fail(err)
		}
		buf = buf[max(0, n):]
	}
}
