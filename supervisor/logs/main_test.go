package logs

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestMain lets the test binary play other parts: programs that print, and a supervisor that can be killed.
func TestMain(m *testing.M) {
	switch os.Getenv("TEST_ROLE") {
	case "":
		os.Exit(m.Run())
	case "pump": // a supervisor: reads fd 3 for as long as it lives
		rolePump()
	case "spout": // a service: prints as fast as it can
		roleSpout()
	case "ticker": // thirty services in one: a line each millisecond to each descriptor from 3 on
		roleTicker()
	default:
		os.Exit(64)
	}
}

func number(name string) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(64)
	}
	return n
}

// mortal ends a forgotten child.
func mortal() { time.AfterFunc(2*time.Minute, func() { os.Exit(65) }) }

func rolePump() {
	mortal()
	k, err := NewPumps()
	if err != nil {
		panic(err)
	}
	o := Options{Dir: os.Getenv("TEST_DIR"), MaxSize: int64(number("TEST_MAX_SIZE")), Keep: number("TEST_KEEP"), Redactor: NewRedactor("correct horse battery")}
	for i := range number("TEST_PIPES") {
		r := os.NewFile(uintptr(3+i), "log pipe")
		if _, err := k.Start("svc/"+strconv.Itoa(i), r, 7, o); err != nil {
			panic(err)
		}
	}
	fmt.Println("pumping")
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // until killed, or told to end
	if err := k.Close(); err != nil {
		panic(err)
	}
}

func roleSpout() {
	mortal()
	n := number("TEST_LINES")
	buf := make([]byte, 0, 64<<10)
	for i := range n {
		buf = appendLine(buf, i)
		if len(buf)+128 > cap(buf) || i == n-1 {
			if _, err := os.Stdout.Write(buf); err != nil {
				os.Exit(1)
			}
			buf = buf[:0]
		}
	}
}

// appendLine appends a line of 120 bytes, newline included, that carries its number.
func appendLine(b []byte, i int) []byte {
	const line = "0000000000 INFO gitserver: fetched repository github.com/sourcegraph/zoekt in 118 ms, 3 refs changed, 0 removed, queued"
	b = append(b, line[:119]...)
	b = append(b, '\n')
	for at := len(b) - 111; i > 0; i, at = i/10, at-1 {
		b[at] = byte('0' + i%10)
	}
	return b
}

func roleTicker() {
	mortal()
	lines := number("TEST_LINES")
	var pipes []*os.File
	for p := range number("TEST_PIPES") {
		pipes = append(pipes, os.NewFile(uintptr(3+p), "log pipe"))
	}
	began := time.Now()
	var line []byte
	for i := range lines {
		line = appendLine(line[:0], i)
		for _, p := range pipes {
			if _, err := p.Write(line); err != nil {
				os.Exit(1)
			}
		}
		time.Sleep(time.Until(began.Add(time.Duration(i+1) * time.Millisecond)))
	}
}
